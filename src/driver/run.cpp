#include "eckart/driver/run.hpp"

#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/placement_options.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/driver/submit.hpp"
#include "eckart/io/directory_lock.hpp"
#include "eckart/report/report.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

constexpr const char* requeue_help = "in a SLURM job: queue it again when it was told to stop";

nlohmann::json launch_record(const Command& command) {
    return {{"kind", "mpirun"},
            {"ranks", command.get<int>("ranks")},
            {"threads", command.get<int>("threads")},
            {"oversubscribe", command.flag("oversubscribe")}};
}

/// What may be asked of SLURM anew; the rest stays as it was submitted.
po::options_description allocation_changes() {
    po::options_description options("SLURM, instead of what was submitted");
    for (const char* name : {"nodes", "ntasks-per-node", "cpus-per-task"})
        options.add_options()(name, po::value<int>()->value_name("N"), "as of eckart submit");
    for (const char* name : {"time", "partition", "account"})
        options.add_options()(name, po::value<std::string>()->value_name("T"), "as of eckart submit");
    return options;
}

void change_allocation(const Command& command, nlohmann::json& launch) {
    const po::options_description changes = allocation_changes();
    for (const auto& option : changes.options()) {
        const std::string& name = option->long_name();
        if (!command.has(name)) continue;
        std::string key = name;
        std::ranges::replace(key, '-', '_');
        if (launch.at(key).is_number())
            launch[key] = command.get<int>(name);
        else
            launch[key] = command.get<std::string>(name);
    }
}

/// True when nothing that the log says from `offset` on is a rank's: the launcher failed before any began.
bool no_rank_spoke(const fs::path& log, std::uintmax_t offset) {
    std::ifstream file(log);
    file.seekg(static_cast<std::streamoff>(offset));
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("eckart: ") || line.find("] launch: ") != std::string::npos) return false;
    return true;
}

/// Runs a stage's command; a launcher that fails before any rank began, as happens on a busy machine, has
/// another try.
Outcome run_stage(const std::vector<std::string>& command, const Placement& placement, const fs::path& log) {
    std::error_code none;
    const std::uintmax_t before = fs::exists(log) ? fs::file_size(log, none) : 0;
    const Outcome first = run_logged(command, launch_environment(placement), log);
    if (first.code != exit_failure || first.stop_asked || !no_rank_spoke(log, before)) return first;
    std::cerr << "eckart: the launcher failed before any rank began: trying once more\n";
    return run_logged(command, launch_environment(placement), log);
}

}  // namespace

bool show_plan(const RunDirectory& directory, const RunOptions& options, const Placement& placement,
               const Resources& with) {
    try {
        const RunPlan plan = make_plan(matrix_facts(directory, options, placement), options, with);
        std::cerr << plan.describe();
        return plan.misfit.empty();
    } catch (const Error&) {
        std::cerr << "eckart: no plan can be made: the stage itself will say why\n";
        return true;
    }
}

int run_here(const RunDirectory& directory, const RunRecord& record, const Placement& placement) {
    directory.make();
    const io::DirectoryLock lock(directory.path());
    require_not_queued(directory);
    directory.save(record);
    require(show_plan(directory, record.options, placement, resources_here(record.options, placement)),
            "the run does not fit; 'eckart plan' says what would");
    const int code = run_stages(directory, record.options, placement);
    if (code == exit_success) write_run_report(directory);
    if (code == exit_interrupted)
        std::cerr << fmt::format("eckart: stopped as asked; 'eckart resume {}' continues\n",
                                 shell_text({directory.path().string()}));
    return code;
}

int run_stages(const RunDirectory& directory, const RunOptions& options, const Placement& placement) {
    std::cerr << fmt::format("eckart: {} in {}\n", placement.describe(), directory.path().string());
    for (const Stage stage : all_stages()) {
        const auto command = mpirun_command(placement, program_path(program_of(stage)).string(),
                                            directory.arguments_of(stage, options));
        directory.append(event_now(stage, "started"));
        const auto [code, stop_asked] = run_stage(command, placement, directory.log_of(stage));
        directory.append(event_now(stage, "ended", code));
        if (code == exit_success && stop_asked) return exit_interrupted;
        if (code == exit_success) continue;
        std::cerr << fmt::format("eckart: stage {} ended with exit code {}; log: {}\n", name_of(stage), code,
                                 directory.log_of(stage).string());
        return code;
    }
    return exit_success;
}

void write_run_report(const RunDirectory& directory) {
    const report::Report report =
        report::write_report({report::read_run(directory.path())}, directory.report());
    for (const std::string& warning : report.warnings) std::cerr << fmt::format("eckart: {}\n", warning);
    std::cout << report.text << "\nReport: " << report.page.string() << '\n';
}

int run_command(int argc, char** argv) {
    po::options_description options = run_options();
    options.add(placement_options());
    po::options_description own("Run");
    own.add_options()("out", po::value<std::string>()->required()->value_name("DIR"), "directory of the run")(
        "requeue", po::bool_switch(), requeue_help)("dry-run", po::bool_switch(), "show the plan and stop");
    options.add(own);
    const Command command = parse_command(
        argc, argv, "eckart run CORPUS... --out DIR [options]",
        "The main job: corpus to matrix, spectrum, verdict and report. Run again, it continues.", options,
        corpus_positional());
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const RunRecord record{.options = run_options_of(command), .launch = launch_record(command)};
    if (command.flag("dry-run")) {
        const Placement placement = placement_of(command);
        const bool fits = show_plan(RunDirectory(command.get<std::string>("out")), record.options, placement,
                                    resources_here(record.options, placement));
        return fits ? exit_success : exit_failure;
    }
    const int code = run_here(RunDirectory(command.get<std::string>("out")), record, placement_of(command));
    if (command.flag("requeue")) requeue_this_job_if_stopped(code);
    return code;
}

int resume_command(int argc, char** argv) {
    po::options_description options = placement_options();
    options.add(allocation_changes());
    options.add_options()("here", po::bool_switch(), "on this machine, even if it was submitted to SLURM")(
        "requeue", po::bool_switch(), requeue_help)("directory",
                                                    po::value<std::string>()->required()->value_name("DIR"),
                                                    "directory of the run (or the argument)");
    po::positional_options_description positional;
    positional.add("directory", 1);
    const Command command = parse_command(
        argc, argv, "eckart resume DIR [options]",
        "Continues what remains of a run, on as many ranks as there are now.", options, positional);
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const RunDirectory directory(command.get<std::string>("directory"));
    RunRecord record = directory.load();
    if (record.launch.value("kind", "") == "slurm" && !command.flag("here")) {
        change_allocation(command, record.launch);
        submit(directory, record);
        return exit_success;
    }
    if (record.launch.value("kind", "") != "slurm") record.launch = launch_record(command);
    const int code = run_here(directory, record, placement_of(command));
    if (command.flag("requeue")) requeue_this_job_if_stopped(code);
    return code;
}

}  // namespace eckart::driver
