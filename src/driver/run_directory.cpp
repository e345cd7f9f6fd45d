#include "eckart/driver/run_directory.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/matrix/manifest.hpp"
#include "eckart/version.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace eckart::driver {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

json to_json(const Event& event) {
    json line = {{"time", event.time}, {"stage", event.stage}, {"event", event.what}, {"host", event.host}};
    if (event.what == "ended") line["code"] = event.code;
    if (!event.job.empty()) {
        line["job"] = event.job;
        line["restarts"] = event.restarts;
    }
    return line;
}

Event event_of(const json& line) {
    return {.time = line.value("time", ""),
            .stage = line.value("stage", ""),
            .what = line.value("event", ""),
            .code = line.value("code", 0),
            .host = line.value("host", ""),
            .job = line.value("job", ""),
            .restarts = line.value("restarts", 0)};
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& path) : path_(fs::absolute(path).lexically_normal()) {
    if (!path_.has_filename()) path_ = path_.parent_path();
}

void RunDirectory::make() const {
    io::make_directory(path_);
    io::make_directory(logs());
}

bool RunDirectory::has_record() const {
    return fs::exists(record_path());
}

void RunDirectory::save(const RunRecord& record) const {
    const json content = {{"format", "eckart-run"},
                          {"format_version", 1},
                          {"version", version},
                          {"written", utc_now()},
                          {"options", driver::to_json(record.options)},
                          {"launch", record.launch},
                          {"jobs", record.jobs}};
    io::write_file(record_path(), content.dump(2) + "\n");
    io::write_file(path_ / "run.ini", record.options.configuration());
}

RunRecord RunDirectory::load() const {
    require(has_record(), "{} is not a run directory: it holds no run.json", path_.string());
    const std::string source = record_path().string();
    const json content = json::parse(io::read_file(record_path()), nullptr, false);
    require(content.is_object() && content.value("format", "") == "eckart-run" && content.contains("options"),
            "{} is not the record of a run", source);
    return {.options = run_options_from_json(content["options"], source),
            .launch = content.value("launch", json::object()),
            .jobs = content.value("jobs", json::array())};
}

std::vector<std::string> RunDirectory::arguments_of(Stage stage, const RunOptions& options) const {
    std::vector<std::string> arguments = options.arguments_of(stage);
    const auto add = [&](const std::string& argument) { arguments.push_back(argument); };
    switch (stage) {
        case Stage::matrix:
            add("--out=" + matrix().string());
            break;
        case Stage::spectrum:
            add(matrix().string());
            add("--out=" + spectrum().string());
            break;
        case Stage::verify:
            add(matrix().string());
            add(spectrum().string());
            add("--out=" + verdict().string());
            break;
    }
    add(fmt::format("--stage={}/{}", static_cast<int>(stage) + 1, all_stages().size()));
    add("--status=" + status_of(stage).string());
    return arguments;
}

void RunDirectory::append(const Event& event) const {
    std::ofstream file(journal(), std::ios::app);
    file << to_json(event).dump() << std::endl;
    require(file.good(), "cannot write to {}{}", journal().string(), io::cause_of(errno, journal()));
}

std::vector<Event> RunDirectory::events() const {
    std::vector<Event> events;
    std::ifstream file(journal());
    for (std::string line; std::getline(file, line);)
        if (const json entry = json::parse(line, nullptr, false); entry.is_object())
            events.push_back(event_of(entry));
    return events;
}

bool RunDirectory::has_output(Stage stage) const {
    switch (stage) {
        case Stage::matrix:
            return matrix::has_manifest(matrix());
        case Stage::spectrum:
            return fs::exists(spectrum());
        case Stage::verify:
            return fs::exists(verdict());
    }
    return false;
}

std::string RunDirectory::last_error(Stage stage) const {
    std::ifstream file(log_of(stage));
    std::string own, of_others;
    for (std::string line; std::getline(file, line);) {
        const auto holds = [&](const char* sign) { return line.find(sign) != std::string::npos; };
        if (line.starts_with("eckart-" + name_of(stage) + ": job") || holds("] launch: "))
            own.clear(), of_others.clear();  // the stage began anew
        else if (line.starts_with("eckart: "))
            own = line;
        else if (of_others.empty() && (holds("exited on signal") || holds("srun: error:") ||
                                       holds("lost communication") || holds(": error: ***")))
            of_others = line;  // what follows follows from it
    }
    return own.empty() ? of_others : own;
}

Event event_now(Stage stage, const std::string& what, int code) {
    const std::string restarts = variable("SLURM_RESTART_COUNT");
    return {.time = utc_now(),
            .stage = name_of(stage),
            .what = what,
            .code = code,
            .host = host_name(),
            .job = variable("SLURM_JOB_ID"),
            .restarts = restarts.empty() ? 0 : std::atoi(restarts.c_str())};
}

}  // namespace eckart::driver
