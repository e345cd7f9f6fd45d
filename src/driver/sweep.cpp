#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/placement_options.hpp"
#include "eckart/driver/run.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/directory_lock.hpp"
#include "eckart/report/report.hpp"

#include <filesystem>
#include <iostream>
#include <vector>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

struct SweepPoint {
    RunDirectory directory;
    RunRecord record;
};

std::vector<SweepPoint> points_of(const Command& command, const fs::path& out) {
    std::vector<SweepPoint> points;
    for (const auto& [name, options] : grid_of(command))
        points.push_back({RunDirectory(out / name), {.options = options}});
    return points;
}

/// One after the other; a run that fails does not keep the others from being made.
int sweep_here(std::vector<SweepPoint>& points, const fs::path& report, const Placement& placement) {
    std::vector<report::Run> finished;
    int worst = exit_success, number = 0;
    for (auto& [directory, record] : points) {
        record.launch = {{"kind", "mpirun"}, {"ranks", placement.ranks}, {"threads", placement.threads}};
        std::cerr << fmt::format("eckart: {} of {}: {}\n", ++number, points.size(),
                                 directory.path().filename().string());
        const int code = run_here(directory, record, placement);
        if (code == exit_interrupted) return code;
        if (code == exit_success) finished.push_back(report::read_run(directory.path()));
        worst = std::max(worst, code);
    }
    require(!finished.empty(), "none of the {} runs was finished", points.size());
    const report::Report written = report::write_report(std::move(finished), report);
    std::cout << written.text << "\nReport on the sweep: " << written.page.string() << '\n';
    return worst;
}

struct Scripts {
    std::string array, report;
};

Scripts scripts_of(const std::vector<SweepPoint>& points, const fs::path& out, const Allocation& allocation) {
    const std::string eckart = shell_text({program_path("eckart").string()});
    std::vector<std::string> runs;
    for (const SweepPoint& point : points) runs.push_back(point.directory.path().string());
    return {.array = filled_template("array.sbatch", allocation,
                                     {{"LAST", std::to_string(points.size() - 1)},
                                      {"LOG", (out / "slurm/%a.log").string()},
                                      {"LIST", shell_text({(out / "slurm/runs.txt").string()})},
                                      {"ECKART", eckart}}),
            .report = filled_template("report.sbatch", allocation,
                                      {{"LOG", (out / "slurm/report.log").string()},
                                       {"ECKART", eckart},
                                       {"RUNS", shell_text(runs)},
                                       {"REPORT", shell_text({(out / "report").string()})}})};
}

/// One submission: an array with a task for each run, and the report when all of them have ended.
void submit_sweep(std::vector<SweepPoint>& points, const fs::path& out, const Allocation& allocation) {
    io::make_directory(out / "slurm");
    const io::DirectoryLock lock(out);
    for (const SweepPoint& point : points) require_not_queued(point.directory);
    std::string list;
    for (auto& [directory, record] : points) {
        directory.make();
        record.launch = to_json(allocation);
        directory.save(record);
        list += directory.path().string() + "\n";
    }
    const Scripts scripts = scripts_of(points, out, allocation);
    io::write_file(out / "slurm/runs.txt", list);
    io::write_file(out / "slurm/array.sbatch", scripts.array);
    io::write_file(out / "slurm/report.sbatch", scripts.report);
    const std::string array = sbatch(out / "slurm/array.sbatch", "");
    for (std::size_t i = 0; i < points.size(); ++i) {
        auto& [directory, record] = points[i];
        record.jobs.push_back({{"stage", "all"}, {"id", fmt::format("{}_{}", array, i)}});
        directory.save(record);
        std::cout << fmt::format("{:<40} job {}_{}\n", directory.path().filename().string(), array, i);
    }
    std::cout << fmt::format("{:<40} job {}\n", "report",
                             sbatch(out / "slurm/report.sbatch", "afterany:" + array));
}

po::options_description sweep_options() {
    po::options_description own("Sweep");
    own.add_options()("out", po::value<std::string>()->required()->value_name("DIR"),
                      "directory of the sweep: a run directory for each point, and report/")(
        "slurm", po::bool_switch(), "as one SLURM array with these options instead of here:")(
        "nodes", po::value<int>()->default_value(1)->value_name("N"), "nodes of each run")(
        "print-only", po::bool_switch(), "show the scripts of --slurm, submit nothing");
    po::options_description all = run_options();
    return all.add(own).add(placement_options()).add(allocation_options());
}

}  // namespace

int sweep_command(int argc, char** argv) {
    const Command command = parse_command(
        argc, argv, "eckart sweep CORPUS... --out DIR [options]",
        "A run for every combination of the corpora with the values of --tokenizer, --sample-contexts and\n"
        "--order, which commas separate (the tokenizer 'words' is none), and one report on all of them.",
        sweep_options(), corpus_positional());
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const fs::path out = fs::absolute(command.get<std::string>("out")).lexically_normal();
    std::vector<SweepPoint> points = points_of(command, out);
    if (command.flag("print-only")) {
        const Scripts scripts = scripts_of(points, out, allocation_of(command, command.get<int>("nodes")));
        std::cout << scripts.array << '\n' << scripts.report << '\n';
        return exit_success;
    }
    if (!command.flag("slurm")) {
        return sweep_here(points, out / "report", placement_of(command));
    }
    submit_sweep(points, out, allocation_of(command, command.get<int>("nodes")));
    return exit_success;
}

}  // namespace eckart::driver
