#include "eckart/driver/submit.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/launcher.hpp"
#include "eckart/driver/run.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/driver/status.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/directory_lock.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <iostream>
#include <thread>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

Command parse_directory_command(int argc, char** argv, const std::string& summary,
                                po::options_description options) {
    options.add_options()("directory", po::value<std::string>()->required()->value_name("DIR"),
                          "directory of the run (or the argument)");
    po::positional_options_description positional;
    positional.add("directory", 1);
    return parse_command(argc, argv, fmt::format("eckart {} DIR [options]", argv[0]), summary, options,
                         positional);
}

/// The run at `path`, or all runs of the sweep there.
std::vector<RunDirectory> runs_in(const fs::path& path) {
    std::vector<RunDirectory> runs;
    std::error_code ignored;
    if (!RunDirectory(path).has_record())
        for (const auto& entry : fs::directory_iterator(path, ignored))
            if (RunDirectory run(entry.path()); run.has_record()) runs.push_back(std::move(run));
    std::ranges::sort(runs, {}, &RunDirectory::path);
    if (runs.empty()) runs.emplace_back(path);  // which says itself when it is none
    return runs;
}

fs::path write_script(const RunDirectory& directory, const RunOptions& options, const Allocation& allocation,
                      Stage stage) {
    const fs::path path = directory.scripts() / (name_of(stage) + ".sbatch");
    io::write_file(path, stage_script(directory, options, allocation, stage));
    return path;
}

}  // namespace

void submit(const RunDirectory& directory, RunRecord record) {
    directory.make();
    io::make_directory(directory.scripts());
    const io::DirectoryLock lock(directory.path());
    require_not_queued(directory);
    const Allocation allocation = allocation_from_json(record.launch);
    record.jobs = nlohmann::json::array();
    std::string before;
    for (const Stage stage : all_stages()) {
        before = sbatch(write_script(directory, record.options, allocation, stage),
                        before.empty() ? "" : "afterok:" + before);
        record.jobs.push_back({{"stage", name_of(stage)}, {"id", before}});
        directory.save(record);
        std::cout << fmt::format("{:<9} job {}\n", name_of(stage), before);
    }
    std::cout << fmt::format("eckart status {} says how far it is\n",
                             shell_text({directory.path().string()}));
}

int submit_command(int argc, char** argv) {
    po::options_description options = run_options();
    options.add(allocation_options());
    po::options_description own("Submission");
    own.add_options()("out", po::value<std::string>()->required()->value_name("DIR"), "directory of the run")(
        "nodes", po::value<int>()->default_value(1)->value_name("N"), "nodes of each job")(
        "print-only", po::bool_switch(), "show the scripts, submit nothing");
    options.add(own);
    const Command command =
        parse_command(argc, argv, "eckart submit CORPUS... --out DIR [options]",
                      "The main job as a chain of SLURM jobs, one a stage.", options, corpus_positional());
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const RunDirectory directory(command.get<std::string>("out"));
    const Allocation allocation = allocation_of(command, command.get<int>("nodes"));
    const RunRecord record{.options = run_options_of(command), .launch = to_json(allocation)};
    if (command.flag("print-only")) {
        for (const Stage stage : all_stages())
            std::cout << stage_script(directory, record.options, allocation, stage) << '\n';
        return exit_success;
    }
    const Placement here = place(1, 1, false);  // a sample is counted on the node of who submits
    Resources with = resources_here(record.options, here);
    with.nodes = allocation.nodes, with.ranks_per_node = allocation.tasks_per_node;
    with.threads = allocation.threads, with.scratch = 0;  // not known from here
    if (const std::string& memory = allocation.memory;
        !memory.empty() && record.options.get("memory", "").empty())
        with.memory = parse_bytes(std::isdigit(memory.back()) != 0 ? memory + "M" : memory) / 10 * 8 /
                      with.ranks_per_node;  // a number alone is in MiB to SLURM
    show_plan(directory, record.options, here, with);
    submit(directory, record);
    return exit_success;
}

int status_command(int argc, char** argv) {
    po::options_description options("Status");
    options.add_options()("json", po::bool_switch(), "as JSON");
    const Command command = parse_directory_command(
        argc, argv, "How far a run is, or each of a sweep: stage, progress, restarts, last error.", options);
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    nlohmann::json all = nlohmann::json::array();
    for (const RunDirectory& run : runs_in(command.get<std::string>("directory")))
        all.push_back(status_of(run));
    if (!command.flag("json"))
        for (const nlohmann::json& status : all) std::cout << status_text(status);
    else
        std::cout << (all.size() == 1 ? all.front() : all).dump(2) << '\n';
    return exit_success;
}

int watch_command(int argc, char** argv) {
    po::options_description options("Watch");
    options.add_options()("every", po::value<int>()->default_value(5)->value_name("SECONDS"),
                          "between looks");
    const Command command =
        parse_directory_command(argc, argv, "Follows a run until it is done or has failed.", options);
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const RunDirectory directory(command.get<std::string>("directory"));
    for (std::string shown;;) {
        const nlohmann::json status = status_of(directory);
        if (const std::string text = status_text(status); text != shown)
            std::cout << (shown = text) << std::endl;
        const auto state = status.at("state").get<std::string>();
        if (state == "done") return exit_success;
        if (state == "failed" || state == "stopped") return exit_failure;
        std::this_thread::sleep_for(std::chrono::seconds(std::max(1, command.get<int>("every"))));
    }
}

int cancel_command(int argc, char** argv) {
    const Command command = parse_directory_command(
        argc, argv, "Takes a run's jobs out of SLURM's hands; what is finished stays.", {});
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const auto path = command.get<std::string>("directory");
    std::vector<std::string> ids;
    for (const RunDirectory& run : runs_in(path))
        for (const std::string& id : job_ids(run.load())) ids.push_back(id);
    const auto queued = queued_jobs(ids);
    if (queued.empty()) {
        std::cout << fmt::format("SLURM holds no job for {}\n", path);
        return exit_success;
    }
    std::vector<std::string> words{"scancel"};
    for (const auto& [id, state] : queued) words.push_back(id);
    output_of(words);
    std::cout << fmt::format("cancelled: {}\n", shell_text({words.begin() + 1, words.end()}));
    return exit_success;
}

}  // namespace eckart::driver
