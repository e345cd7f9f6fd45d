#include "eckart/driver/status.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/directory_lock.hpp"

#include <algorithm>

namespace eckart::driver {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// A job that runs all stages one after another, as those of a sweep do.
bool is_of_all(const json& job) {
    return job.value("stage", "") == "all";
}

/// Whether somebody works on the run: `eckart run` by its lock, SLURM by its queue.
bool is_held(const RunDirectory& directory) {
    try {
        const io::DirectoryLock lock(directory.path());
        return false;
    } catch (const Error&) {
        return true;
    }
}

/// Step, share done, rate and time left, as the job's own status file says.
json progress_of(const RunDirectory& directory, Stage stage) {
    const fs::path path = directory.status_of(stage);
    if (!fs::exists(path)) return json::object();
    const json file = json::parse(io::read_file(path), nullptr, false);
    if (!file.is_object()) return json::object();
    json progress = {{"step", file.value("step", "")}, {"updated", file.value("updated", "")}};
    const double done = file.value("done", 0.0), total = file.value("total", 0.0),
                 seconds = file.value("step_seconds", 0.0);
    if (total > 0) progress["fraction"] = done / total;
    if (seconds > 0 && done > 0) {
        progress["rate"] = done / seconds;
        progress["unit"] = file.value("unit", "");
        if (total > done) progress["eta_seconds"] = (total - done) * seconds / done;
    }
    return progress;
}

/// `queued` is what SLURM says of the stage's job; empty when it knows none.
std::string state_of(const RunDirectory& directory, Stage stage, const Event* last, const std::string& queued,
                     bool held) {
    const bool works = queued == "RUNNING" || queued == "COMPLETING";
    if (!queued.empty() && !works) return last == nullptr ? "waiting" : "interrupted";
    if (last == nullptr) return !works && directory.has_output(stage) ? "done" : "waiting";
    if (last->what == "started") return works || (held && last->job.empty()) ? "running" : "stopped";
    if (last->code == exit_success) return "done";
    if (works) return "interrupted";
    return last->code == exit_interrupted ? "stopped" : "failed";
}

/// The run's state is that of the first stage that is not done.
std::string state_of(const json& stages) {
    for (const json& stage : stages)
        if (stage.at("state") != "done") return stage.at("state");
    return "done";
}

}  // namespace

json status_of(const RunDirectory& directory) {
    const RunRecord record = directory.load();
    const std::vector<Event> events = directory.events();
    const auto queued = queued_jobs(job_ids(record));
    const bool held = is_held(directory);
    json stages = json::array();
    for (const Stage stage : all_stages()) {
        const auto is_of_stage = [&](const auto& entry) { return entry == name_of(stage); };
        const auto last = std::ranges::find_if(events.rbegin(), events.rend(), is_of_stage, &Event::stage);
        const Event* event = last == events.rend() ? nullptr : &*last;
        std::string queue_state;
        for (const json& job : record.jobs)
            if (const auto found = queued.find(job.value("id", ""));
                found != queued.end() && (job.value("stage", "") == name_of(stage) || is_of_all(job)))
                queue_state = found->second;
        json entry = {{"name", name_of(stage)},
                      {"state", state_of(directory, stage, event, queue_state, held)}};
        if (!queue_state.empty()) entry["slurm"] = queue_state;
        if (event != nullptr) {
            entry["since"] = event->time;
            entry["host"] = event->host;
            entry["restarts"] = event->restarts;
            if (!event->job.empty()) entry["job"] = event->job;
            if (event->what == "ended") entry["code"] = event->code;
        }
        if (entry["state"] == "running" || entry["state"] == "stopped")
            entry.update(progress_of(directory, stage));
        if (entry["state"] == "failed" || entry["state"] == "stopped")
            if (const std::string error = directory.last_error(stage); !error.empty()) entry["error"] = error;
        stages.push_back(entry);
    }
    return {{"directory", directory.path().string()},
            {"state", state_of(stages)},
            {"stages", stages},
            {"report", fs::exists(directory.report() / "index.html")}};
}

std::string status_text(const json& status) {
    std::string text = fmt::format("{}: {}\n", status.at("directory").get<std::string>(),
                                   status.at("state").get<std::string>());
    for (const json& stage : status.at("stages")) {
        text += fmt::format("  {:<9} {:<11}", stage.at("name").get<std::string>(),
                            stage.at("state").get<std::string>());
        if (stage.contains("job")) text += fmt::format("  job {}", stage["job"].get<std::string>());
        if (stage.value("restarts", 0) > 0)
            text += fmt::format("  {} restarts", stage["restarts"].get<int>());
        if (stage.contains("step")) text += "  " + stage["step"].get<std::string>();
        if (stage.contains("fraction"))
            text += fmt::format("  {:.0f} %", 100 * stage["fraction"].get<double>());
        if (stage.contains("rate"))
            text += fmt::format("  {} {}/s", format_count(stage["rate"].get<double>()),
                                stage["unit"].get<std::string>());
        if (stage.contains("eta_seconds"))
            text += "  ETA " + format_seconds(stage["eta_seconds"].get<double>());
        if (stage.contains("code") && stage["code"] != 0)
            text += fmt::format("  exit code {}", stage["code"].get<int>());
        if (stage.contains("error")) text += "\n            " + stage["error"].get<std::string>();
        text += "\n";
    }
    return text;
}

}  // namespace eckart::driver
