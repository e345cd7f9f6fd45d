#include "eckart/driver/run.hpp"

#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/placement_options.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/driver/submit.hpp"
#include "eckart/io/directory_lock.hpp"
#include "eckart/report/report.hpp"

#include <iostream>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

/// A run on this machine, from its first stage that is not finished to the report.
int run_here(const RunDirectory& directory, const RunRecord& record, const Placement& placement) {
    directory.make();
    const io::DirectoryLock lock(directory.path());
    require_not_queued(directory);
    directory.save(record);
    const int code = run_stages(directory, record.options, placement);
    if (code == exit_success) write_run_report(directory);
    if (code == exit_interrupted)
        std::cerr << fmt::format("eckart: stopped as asked; 'eckart resume {}' continues\n",
                                 shell_text({directory.path().string()}));
    return code;
}

nlohmann::json launch_record(const Command& command) {
    return {{"kind", "mpirun"},
            {"ranks", command.get<int>("ranks")},
            {"threads", command.get<int>("threads")},
            {"oversubscribe", command.flag("oversubscribe")}};
}

}  // namespace

int run_stages(const RunDirectory& directory, const RunOptions& options, const Placement& placement) {
    std::cerr << fmt::format("eckart: {} in {}\n", placement.describe(), directory.path().string());
    for (const Stage stage : all_stages()) {
        const auto command = mpirun_command(placement, program_path(program_of(stage)).string(),
                                            directory.arguments_of(stage, options));
        directory.append(event_now(stage, "started"));
        const auto [code, stop_asked] =
            run_logged(command, launch_environment(placement), directory.log_of(stage));
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
    own.add_options()("out", po::value<std::string>()->required()->value_name("DIR"), "directory of the run");
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
    return run_here(RunDirectory(command.get<std::string>("out")), record, placement_of(command));
}

int resume_command(int argc, char** argv) {
    po::options_description options = placement_options();
    options.add_options()("here", po::bool_switch(), "on this machine, even if it was submitted to SLURM")(
        "directory", po::value<std::string>()->required()->value_name("DIR"),
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
        submit(directory, record);
        return exit_success;
    }
    record.launch = launch_record(command);
    return run_here(directory, record, placement_of(command));
}

}  // namespace eckart::driver
