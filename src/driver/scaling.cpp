#include "eckart/report/scaling.hpp"

#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/run.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/driver/status.hpp"
#include "eckart/driver/submit.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

/// "1,2,4"; ascending, because the first is what the others are compared with.
std::vector<int> numbers_of(const Command& command, const std::string& option) {
    std::vector<int> numbers;
    std::istringstream text(command.get<std::string>(option));
    for (std::string part; std::getline(text, part, ',');) {
        int number = 0;
        const auto end = part.data() + part.size();
        if (std::from_chars(part.data(), end, number).ptr != end || number < 1)
            throw UsageError("--{}: '{}' is not a number of {}", option, part, option);
        numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
}

/// The lines of a file that begin in the given part of its bytes.
void copy_part(const fs::path& from, int part, int parts, const fs::path& to) {
    const auto bytes = static_cast<std::int64_t>(fs::file_size(from));
    std::ifstream in(from, std::ios::binary);
    std::string text;
    std::int64_t at = bytes * part / parts;
    const std::int64_t end = bytes * (part + 1) / parts;
    if (at > 0) {  // the line that began before is the part before's
        in.seekg(at - 1);
        std::getline(in, text);
        at += static_cast<std::int64_t>(text.size());
    }
    io::PendingFile pending(to);
    std::ofstream out(pending.partial(), std::ios::binary);
    for (; at < end && std::getline(in, text); at += static_cast<std::int64_t>(text.size()) + 1)
        out << text << '\n';
    out.close();
    require(out.good(), "cannot write {}{}", to.string(), io::cause_of(errno, to));
    pending.commit();
}

/// The corpus in `parts` pieces of equal size, cut between lines: piece by piece, their files.
std::vector<std::vector<std::string>> cut(const std::vector<std::string>& corpus, int parts,
                                          const fs::path& out) {
    std::vector<std::vector<std::string>> pieces(static_cast<std::size_t>(parts));
    for (const fs::path path : corpus) {
        const std::string extension = path.extension().string();
        if (!fs::is_regular_file(path) || (extension != ".txt" && extension != ".jsonl"))
            throw UsageError("--weak cuts plain .txt and .jsonl files, which {} is not", path.string());
        for (int part = 0; part < parts; ++part) {
            const fs::path piece =
                out / fmt::format("{}-{}-of-{}{}", path.stem().string(), part + 1, parts, extension);
            if (!fs::exists(piece)) copy_part(path, part, parts, piece);
            pieces[static_cast<std::size_t>(part)].push_back(piece.string());
        }
    }
    return pieces;
}

struct Study {
    std::string unit;  ///< "ranks" or "nodes"
    std::vector<int> numbers;
    bool weak;
    int repeats;
    fs::path out;
    RunOptions options;
    Allocation allocation;
};

Study study_of(const Command& command) {
    const bool nodes = command.has("nodes");
    Study study{.unit = nodes ? "nodes" : "ranks",
                .numbers = numbers_of(command, nodes ? "nodes" : "ranks"),
                .weak = command.flag("weak"),
                .repeats = command.get<int>("repeats"),
                .out = fs::absolute(command.get<std::string>("out")).lexically_normal(),
                .options = run_options_of(command),
                .allocation = allocation_of(command, 1)};
    if (study.repeats < 1) throw UsageError("--repeats is at least 1, not {}", study.repeats);
    if (study.numbers.empty()) throw UsageError("--{} names no number", study.unit);
    return study;
}

/// The share of the corpus that a point of a weak study takes; all of it in a strong one.
RunOptions options_of(const Study& study, int number) {
    RunOptions options = study.options;
    if (!study.weak) return options;
    io::make_directory(study.out / "corpus");
    const auto pieces = cut(options.corpus, study.numbers.back(), study.out / "corpus");
    options.corpus.clear();
    for (int piece = 0; piece < number; ++piece)
        for (const std::string& file : pieces[static_cast<std::size_t>(piece)])
            options.corpus.push_back(file);
    return options;
}

int run_under_mpirun(const RunDirectory& directory, const RunOptions& options, int ranks, int threads) {
    const CoreLimit limit(ranks * threads);
    const Placement placement = place(ranks, threads, false);
    return run_here(
        directory,
        {.options = options, .launch = {{"kind", "mpirun"}, {"ranks", ranks}, {"threads", threads}}},
        placement);
}

/// Submits the point unless it is finished, and waits until SLURM is done with it.
void run_under_slurm(const RunDirectory& directory, const RunOptions& options, Allocation allocation,
                     int nodes) {
    allocation.nodes = nodes;
    if (directory.has_record() && status_of(directory)["state"] == "done") return;
    submit(directory, {.options = options, .launch = to_json(allocation)});
    for (std::string state = "waiting"; state != "done"; state = status_of(directory)["state"]) {
        require(state != "failed" && state != "stopped", "{} is {}:\n{}", directory.path().string(), state,
                status_text(status_of(directory)));
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
}

int run_point(const Study& study, const RunDirectory& directory, int number) {
    const RunOptions options = options_of(study, number);
    if (study.unit == "ranks") return run_under_mpirun(directory, options, number, study.allocation.threads);
    run_under_slurm(directory, options, study.allocation, number);
    return 0;
}

report::ScalingPoint point_of(const RunDirectory& directory, int number) {
    report::ScalingPoint point{.run = report::read_run(directory.path()), .units = number};
    const auto launch = point.run.manifest.provenance.value("launch", nlohmann::json::object());
    point.ranks = launch.value("ranks", 1);
    point.cores = launch.value("cores", 1);
    return point;
}

void write_study(const Study& study, const std::vector<report::ScalingPoint>& points) {
    const auto rows = report::scaling_rows(points, !study.weak);
    io::write_file(study.out / "scaling.csv", report::scaling_csv(rows, study.unit));
    std::cout << report::scaling_text(rows, study.unit);
    if (!study.weak) std::cout << report::compare_points(points) << '\n';
    try {
        report::draw(report::scaling_plot(rows, study.unit), study.out);
    } catch (const Error& error) {
        std::cerr << fmt::format("eckart: no picture: {}\n", error.what());
    }
    std::cout << fmt::format("Scaling: {}\n", (study.out / "scaling.csv").string());
}

po::options_description scaling_options() {
    po::options_description own("Scaling");
    own.add_options()("out", po::value<std::string>()->required()->value_name("DIR"),
                      "directory of the study: a run directory for each point")(
        "ranks", po::value<std::string>()->default_value("1,2")->value_name("N,..."),
        "numbers of ranks, under mpirun, each with a core for every thread as far as there are")(
        "nodes", po::value<std::string>()->value_name("N,..."), "numbers of nodes, as SLURM jobs, instead")(
        "repeats", po::value<int>()->default_value(1)->value_name("N"),
        "of every point, in turn; the times are medians")(
        "weak", po::bool_switch(),
        "the corpus grows with the ranks or nodes: the largest number takes it all");
    po::options_description all = run_options();
    return all.add(own).add(allocation_options());
}

}  // namespace

int scaling_command(int argc, char** argv) {
    const Command command = parse_command(
        argc, argv, "eckart scaling CORPUS --out DIR [--ranks 1,2,4 | --nodes 1,2,4] [--weak] [options]",
        "The main job at several numbers of ranks or nodes: seconds, speed-up and efficiency of each stage\n"
        "beside the ideal line, as a table, CSV and a picture; matrices and spectra are compared.",
        scaling_options(), corpus_positional());
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const Study study = study_of(command);
    std::vector<report::ScalingPoint> points;
    for (int repeat = 1; repeat <= study.repeats; ++repeat)
        for (const int number : study.numbers) {
            const std::string name = fmt::format("{}-{}", study.unit, number);
            const RunDirectory directory(study.out /
                                         (repeat == 1 ? name : fmt::format("{}-repeat-{}", name, repeat)));
            if (const int code = run_point(study, directory, number); code != 0) return code;
            points.push_back(point_of(directory, number));
        }
    std::ranges::stable_sort(points, {}, &report::ScalingPoint::units);
    write_study(study, points);
    return exit_success;
}

}  // namespace eckart::driver
