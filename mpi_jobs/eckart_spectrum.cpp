// eckart-spectrum: matrix to spectrum. The singular values of W, exact and all, or the leading ones.

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/driver/launch_check.hpp"
#include "eckart/driver/stage_options.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/gram_checkpoint.hpp"
#include "eckart/svd/gram_forecast.hpp"
#include "eckart/svd/gram_spectrum.hpp"
#include "eckart/svd/left_vectors.hpp"
#include "eckart/svd/randomized_spectrum.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>

using namespace eckart;
namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

po::options_description options() {
    po::options_description places("Input and output");
    places.add_options()("matrix", po::value<std::string>()->required()->value_name("DIR"),
                         "the matrix directory (or first argument)")(
        "out", po::value<std::string>()->required()->value_name("FILE"), "the spectrum file")(
        "dry-run", po::bool_switch(), "say what it would take, and stop");
    po::options_description all;
    all.add(places).add(driver::spectrum_options()).add(driver::scratch_options()).add(driver::job_options());
    return all;
}

std::int64_t vectors_wanted(const driver::Command& command) {
    const auto count = command.get<std::int64_t>("vectors");
    if (count < 0) throw UsageError("--vectors must not be negative, not {}", count);
    return count;
}

std::vector<std::vector<std::int32_t>> left_contexts(const driver::Command& command) {
    if (!command.has("left-vectors")) return {};
    if (vectors_wanted(command) == 0) throw UsageError("--left-vectors goes with --vectors");
    return svd::read_contexts(command.get<std::string>("left-vectors"));
}

svd::RandomizedOptions randomized_options(const driver::Command& command, const svd::GramOptions& gram,
                                          const mpi::Communicator& world) {
    svd::RandomizedOptions result;
    if (command.has("dimension")) result.dimension = command.get<std::int64_t>("dimension");
    if (result.dimension <= 0) throw UsageError("--dimension must be positive, not {}", result.dimension);
    result.tolerance = command.get<double>("tolerance");
    if (!(result.tolerance > 0)) throw UsageError("--tolerance must be positive, not {}", result.tolerance);
    result.passes = command.get<std::int64_t>("passes");
    result.block = command.get<std::int64_t>("block");
    if (result.passes < 0 || result.block < 0) throw UsageError("--passes and --block are not negative");
    result.seed = command.get<std::uint64_t>("seed");
    result.unsquared = command.flag("unsquared");
    result.vectors = vectors_wanted(command) > 0;
    result.weight = gram.weight;
    result.memory = gram.memory;
    const int ranks_here = world.split_by_node().size();
    result.threads = std::max(1, available_cores() / ranks_here);
    result.scratch = driver::scratch_root(command);
    std::error_code none;
    const fs::space_info space = fs::space(result.scratch, none);
    result.scratch_bytes =
        mpi::all_min(world, none ? 0 : static_cast<std::int64_t>(space.available) / ranks_here);
    return result;
}

/// What --method auto takes: all values where they fit, the leading ones otherwise or when few are wanted.
std::string chosen_method(const driver::Command& command, const matrix::MatrixReader& reader,
                          const svd::GramOptions& gram, int ranks, Progress& progress) {
    const auto method = command.get<std::string>("method");
    if (method != "auto") return method;
    const MemoryPlan plan = svd::gram_memory_plan(reader, ranks, gram);
    const std::int64_t columns = reader.column_count();
    if (plan.total() > plan.cap()) {
        progress.note(fmt::format("method: randomized (all {} values would need {} a rank)", columns,
                                  format_bytes(static_cast<double>(plan.total()))));
        return "randomized";
    }
    constexpr std::int64_t few = 16;  // of so many columns one value is wanted
    if (command.has("dimension") && command.get<std::int64_t>("dimension") * few < columns) {
        progress.note(fmt::format("method: randomized ({} of {} values are wanted)",
                                  command.get<std::int64_t>("dimension"), columns));
        return "randomized";
    }
    progress.note(fmt::format("method: gram (all {} values fit)", columns));
    return "gram";
}

svd::GramOptions gram_options(const driver::Command& command, std::int64_t memory) {
    svd::GramOptions result;
    const auto method = command.get<std::string>("method");
    if (method != "auto" && method != "gram" && method != "randomized")
        throw UsageError("--method is auto, gram or randomized, not {}", method);
    const auto weight = command.get<std::string>("row-weight"),
               solver = command.get<std::string>("eigensolver");
    if (weight != "uniform" && weight != "count")
        throw UsageError("--row-weight is uniform or count, not {}", weight);
    result.weight = weight == "uniform" ? matrix::RowWeight::uniform : matrix::RowWeight::count;
    const auto precision = command.get<std::string>("precision");
    if (precision != "double" && precision != "single")
        throw UsageError("--precision is double or single, not {}", precision);
    result.precision = precision == "double" ? svd::Precision::double_ : svd::Precision::single_;
    result.eigensolver = dense::parse_eigensolver(solver);
    result.vectors = vectors_wanted(command);
    if (!command.flag("no-checkpoint"))
        result.checkpoint = command.get<std::string>("out") + ".cross-product";
    if (method == "gram" && result.vectors > 0 &&
        (result.checkpoint.empty() || !dense::gives_vectors(result.eigensolver)))
        throw UsageError("--vectors goes with --eigensolver two-stage and with a checkpoint");
    result.memory = memory;
    return result;
}

/// Everything that can change the numbers; not the ranks, the memory or the solver's name.
io::Recipe spectrum_recipe(const driver::Command& command, const matrix::MatrixReader& reader) {
    return {{"matrix", reader.manifest().digest.hex()},
            {"method", command.get<std::string>("method")},
            {"dimension", command.has("dimension") ? command.get<std::int64_t>("dimension") : 0},
            {"tolerance", command.get<double>("tolerance")},
            {"passes", command.get<std::int64_t>("passes")},
            {"block", command.get<std::int64_t>("block")},
            {"seed", command.get<std::uint64_t>("seed")},
            {"unsquared", command.flag("unsquared")},
            {"vectors", command.get<std::int64_t>("vectors")},
            {"left_contexts", left_contexts(command)},
            {"precision", command.get<std::string>("precision")},
            {"row_weight", command.get<std::string>("row-weight")}};
}

bool already_complete(const fs::path& out, const io::Recipe& recipe, Progress& progress) {
    const nlohmann::json old = svd::spectrum_recipe(out);
    if (old.is_null()) return false;
    const std::string changes = io::differences(old, recipe);
    progress.note(changes.empty() ? fmt::format("already complete: {}", out.string())
                                  : "computing the spectrum anew: " + changes);
    return changes.empty();
}

int run(const mpi::Communicator& world, int argc, char** argv) {
    po::positional_options_description positional;
    positional.add("matrix", 1);
    std::optional<driver::Command> command;
    std::optional<matrix::MatrixReader> reader;
    const auto parse = [&] {
        command = driver::parse_command(argc, argv, "eckart-spectrum MATRIX_DIR --out FILE [options]",
                                        "The singular values of a matrix of merged n-gram counts.", options(),
                                        positional);
    };
    mpi::agree(world, parse);
    if (!command->message.empty()) {
        if (world.is_root()) std::cout << command->message;
        return exit_success;
    }
    watch_for_interrupt();
    const std::int64_t memory = driver::memory_per_rank(*command, world);
    svd::GramOptions gram;
    svd::RandomizedOptions randomized;
    std::string method;
    const fs::path out = command->get<std::string>("out");
    Progress progress = driver::job_progress(*command, "spectrum", world);
    const driver::Launch launch = driver::check_launch(world, progress);
    io::Recipe recipe;
    bool complete = false;
    mpi::agree(world, [&] {
        gram = gram_options(*command, memory);
        reader.emplace(command->get<std::string>("matrix"));
        gram.unsquared = command->flag("unsquared") || (gram.precision == svd::Precision::double_ &&
                                                        svd::unsquared_is_cheap(*reader, world.size(), gram));
        recipe = spectrum_recipe(*command, *reader);
        if (world.is_root() && !command->flag("dry-run")) complete = already_complete(out, recipe, progress);
    });
    if (mpi::any(world, complete)) return exit_success;
    randomized = randomized_options(*command, gram, world);
    if (!command->flag("no-checkpoint")) randomized.checkpoint = out.string() + ".checkpoint";
    progress.note(fmt::format("BLAS kernels {}{}", dense::blas_kernel(),
                              dense::blas_kernel_is_fallback()
                                  ? " (a fallback: several times slower than this processor allows)"
                                  : ""));
    mpi::agree(world, [&] { method = chosen_method(*command, *reader, gram, world.size(), progress); });
    if (command->flag("dry-run")) {
        const std::string forecast =
            method == "gram"
                ? svd::gram_forecast(world, *reader, gram)
                : svd::randomized_memory_plan(*reader, world.size(), randomized).describe() + "\n";
        if (world.is_root()) std::cout << forecast;
        return exit_success;
    }
    svd::Spectrum spectrum = method == "gram"
                                 ? svd::gram_spectrum(world, *reader, gram, progress)
                                 : svd::randomized_spectrum(world, *reader, randomized, progress);
    mpi::agree(world, [&] {
        if (!world.is_root()) return;
        spectrum.right_vectors.resize(static_cast<std::size_t>(
            std::min(vectors_wanted(*command), spectrum.vector_count()) * spectrum.columns));
        spectrum.left_contexts = left_contexts(*command);
        if (!spectrum.left_contexts.empty())
            spectrum.left_vectors = svd::left_vectors(reader->directory(), spectrum, spectrum.left_contexts);
        spectrum.recipe = recipe;
        spectrum.provenance =
            provenance(argc, argv, world.size(),
                       {{"blas_kernel", dense::blas_kernel()}, {"launch", driver::to_json(launch)}});
        for (const Progress::Step& step : progress.steps())
            spectrum.stages.push_back(
                {{"name", step.name}, {"seconds", step.seconds}, {"peak_bytes", step.peak_bytes}});
        svd::write_spectrum(out, spectrum);
        if (method == "gram" && !gram.checkpoint.empty()) svd::remove_gram_checkpoint(gram.checkpoint);
        if (!randomized.checkpoint.empty()) fs::remove_all(randomized.checkpoint);
    });
    progress.note(fmt::format("{} singular values, sigma_1 = {:.6g}, floor {:.2g}: {}", spectrum.size(),
                              spectrum.size() > 0 ? spectrum.sigma(0) : 0.0, spectrum.floor, out.string()));
    return exit_success;
}

}  // namespace

int main(int argc, char** argv) {
    dense::ensure_blas_kernel(argv);
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) { return run(world, argc, argv); });
}
