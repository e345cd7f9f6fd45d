// eckart-matrix: text to matrix. Counts the n-grams of a corpus and leaves the merged rows of W.

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/driver/corpus_options.hpp"
#include "eckart/driver/launch_check.hpp"
#include "eckart/driver/stage_options.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/directory_lock.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/matrix/forecast.hpp"
#include "eckart/matrix/make_matrix.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/text/corpus.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

using namespace eckart;
namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

po::options_description options() {
    po::options_description own("Output");
    own.add_options()("out", po::value<std::string>()->required()->value_name("DIR"),
                      "directory of the matrix")("dry-run", po::bool_switch(),
                                                 "count a sample, say what the whole will take, and stop")(
        "plan-ranks", po::value<int>()->value_name("N"), "ranks to plan for with --dry-run (default: these)")(
        "json", po::bool_switch(), "with --dry-run: sizes and rates as JSON");
    po::options_description all;
    all.add(driver::corpus_options())
        .add(driver::counting_options())
        .add(driver::scratch_options())
        .add(own)
        .add(driver::job_options());
    return all;
}

text::CorpusOptions corpus_options(const driver::Command& command) {
    text::CorpusOptions result = driver::read_corpus_options(command);
    result.order = command.get<int>("order");
    return result;
}

/// "1e5,1e6,all" -> 100000, 1000000, all.
std::vector<std::int64_t> samples(const std::string& text) {
    std::vector<std::int64_t> result;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        if (part == "all") {
            result.push_back(matrix::all_contexts);
            continue;
        }
        char* end = nullptr;
        const double number = std::strtod(part.c_str(), &end);
        if (part.empty() || *end != '\0' || !(number >= 1 && number < 1e15))
            throw UsageError("--sample-contexts: '{}' is neither a number of contexts nor 'all'", part);
        result.push_back(std::llround(number));
    }
    if (result.empty()) throw UsageError("--sample-contexts names no sample");
    return result;
}

matrix::MatrixOptions matrix_options(const driver::Command& command, std::int64_t memory) {
    matrix::MatrixOptions result;
    result.directory = command.get<std::string>("out");
    // The same directory for the same output, so that a later run finds (or clears) what an earlier one left.
    const std::string out = fs::absolute(result.directory).lexically_normal().string();
    result.scratch = driver::scratch_root(command) / ("eckart-" + digest_of(out).hex().substr(0, 16));
    result.order = command.get<int>("order");
    result.min_count = command.get<std::int64_t>("min-count");
    result.samples = samples(command.get<std::string>("sample-contexts"));
    result.keep_contexts = command.flag("keep-contexts");
    result.checkpoint_seconds = command.get<double>("checkpoint");
    result.memory_bytes = memory;
    if (result.order < 2 || result.order > 8) throw UsageError("--order is 2 to 8, not {}", result.order);
    if (result.min_count < 1) throw UsageError("--min-count is 1 or more, not {}", result.min_count);
    return result;
}

/// True when the output holds the very matrices; else says what differs and clears what is old away.
bool already_complete(const matrix::MatrixOptions& options, const io::Recipe& corpus, Progress& progress) {
    std::string changes;
    bool missing = false;
    for (const std::int64_t sample : options.samples) {
        const fs::path directory = matrix::matrix_directory(options, sample);
        if (matrix::has_manifest(directory))
            changes += io::differences(matrix::read_manifest(directory).recipe,
                                       matrix::matrix_recipe(corpus, options, sample));
        else
            missing = true;
    }
    if (!missing && changes.empty()) {
        progress.note(fmt::format("already complete: {}", options.directory.string()));
        return true;
    }
    if (!changes.empty()) progress.note("making the matrix anew: " + changes);
    return false;
}

void clear_old_matrices(const matrix::MatrixOptions& options) {
    for (const std::int64_t sample : options.samples) {
        const fs::path directory = matrix::matrix_directory(options, sample);
        fs::remove(directory / matrix::manifest_name);
        if (!fs::exists(directory)) continue;
        for (const auto& entry : fs::directory_iterator(directory)) {
            const std::string name = entry.path().filename().string();
            const bool ours = name.starts_with("blocks-") || name.starts_with("contexts-");
            if (ours && entry.is_regular_file()) fs::remove(entry.path());
        }
    }
}

void report(const matrix::Manifest& manifest, Progress& progress) {
    const auto say = [](std::int64_t number) { return format_count(static_cast<double>(number)); };
    const auto& statistics = manifest.statistics;
    const auto number = [&](const char* name) { return statistics.at(name).get<double>(); };
    progress.note(
        fmt::format("{} {}-grams, {} contexts, {} columns, {} non-zeros; merged: {} rows, {} non-zeros",
                    say(manifest.ngrams), manifest.order, say(manifest.contexts), say(manifest.columns),
                    say(manifest.nonzeros), say(manifest.merged_rows), say(manifest.merged_nonzeros)));
    if (const std::int64_t skipped = manifest.statistics.at("skipped_documents"); skipped > 0)
        progress.note(fmt::format("{} documents or files were malformed and left out", say(skipped)));
    progress.note(fmt::format(
        "{} tokens/s a rank; spilled {}, exchanged {}, written {}, {:.2f} bytes an n-gram; {:.1f} % of the "
        "rows "
        "are left after merging; imbalance {:.3f}",
        format_count(number("tokens_per_second_per_rank")),
        format_bytes(number("spilled_bytes") + number("spilled_row_bytes")),
        format_bytes(number("exchanged_bytes")), format_bytes(number("written_bytes")),
        number("written_bytes_per_ngram"), 100 * number("merged_rows_per_context"), number("imbalance")));
    progress.note(fmt::format("||W||_F^2 = {:.6f}, digest {}", manifest.frobenius_squared.value(),
                              manifest.digest.hex()));
}

int run(const mpi::Communicator& world, int argc, char** argv) {
    po::positional_options_description positional;
    positional.add("corpus", -1);
    std::optional<driver::Command> command;
    mpi::agree(world, [&] {
        command = driver::parse_command(
            argc, argv, "eckart-matrix CORPUS... --out DIR [options]",
            "Counts the n-grams of a corpus and leaves the merged rows of W as HDF5 blocks.", options(),
            positional);
    });
    if (!command->message.empty()) {
        if (world.is_root()) std::cout << command->message;
        return exit_success;
    }
    watch_for_interrupt();
    std::optional<matrix::MatrixOptions> options;
    std::optional<text::Corpus> corpus;
    const std::int64_t memory = driver::memory_per_rank(*command, world);
    Progress progress = driver::job_progress(*command, "matrix", world);
    const driver::Launch launch = driver::check_launch(world, progress);
    const bool dry_run = command->flag("dry-run");
    io::Recipe recipe;
    bool complete = false;
    std::optional<io::DirectoryLock> lock;
    mpi::agree(world, [&] {
        options = matrix_options(*command, memory);
        corpus =
            text::Corpus::open(command->get<std::vector<std::string>>("corpus"), corpus_options(*command));
        if (dry_run || !world.is_root()) return;
        io::make_directory(options->directory);
        lock.emplace(options->directory);
        recipe = corpus->recipe();
        complete = already_complete(*options, recipe, progress);
        if (!complete) clear_old_matrices(*options);
    });
    if (mpi::any(world, complete)) return exit_success;
    corpus->prepare(world, progress);
    if (dry_run) {
        const int ranks = command->has("plan-ranks") ? command->get<int>("plan-ranks") : world.size();
        const matrix::Forecast plan = matrix::forecast(world, *corpus, *options, progress);
        if (world.is_root())
            std::cout << (command->flag("json") ? matrix::to_json(plan).dump()
                                                : plan.describe(std::max(1, ranks), options->memory_bytes))
                      << "\n";
        return exit_success;
    }
    const auto made = matrix::make_matrices(
        world, *corpus, *options, recipe,
        provenance(argc, argv, world.size(), {{"launch", driver::to_json(launch)}}), progress);
    if (world.is_root())
        for (const matrix::Manifest& manifest : made) report(manifest, progress);
    return exit_success;
}

}  // namespace

int main(int argc, char** argv) {
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) { return run(world, argc, argv); });
}
