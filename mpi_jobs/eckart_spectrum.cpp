// eckart-spectrum: matrix to spectrum. The singular values of W, exact and all, or the leading ones.

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/gram_spectrum.hpp"

#include <filesystem>
#include <iostream>
#include <optional>
#include <string>

using namespace eckart;
namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

po::options_description options() {
    po::options_description spectrum("Spectrum");
    spectrum.add_options()("matrix", po::value<std::string>()->required()->value_name("DIR"),
                           "the matrix directory (or first argument)")(
        "out", po::value<std::string>()->required()->value_name("FILE"), "the spectrum file")(
        "method", po::value<std::string>()->default_value("auto")->value_name("NAME"),
        "gram (all values, exact), randomized (the leading ones), auto")(
        "row-weight", po::value<std::string>()->default_value("uniform")->value_name("HOW"),
        "uniform: every context once; count: by its share of the n-grams")(
        "eigensolver", po::value<std::string>()->default_value("auto")->value_name("NAME"),
        "of gram: elpa, lapack, scalapack, auto");
    spectrum.add(driver::job_options());
    return spectrum;
}

svd::GramOptions gram_options(const driver::Command& command, std::int64_t memory) {
    svd::GramOptions result;
    const auto weight = command.get<std::string>("row-weight"),
               solver = command.get<std::string>("eigensolver");
    if (weight != "uniform" && weight != "count")
        throw UsageError("--row-weight is uniform or count, not {}", weight);
    result.weight = weight == "uniform" ? matrix::RowWeight::uniform : matrix::RowWeight::count;
    if (solver != "auto") result.eigensolver = dense::parse_eigensolver(solver);
    result.memory = memory;
    return result;
}

/// Everything that can change the numbers; not the ranks, the memory or the solver's name.
io::Recipe spectrum_recipe(const driver::Command& command, const matrix::MatrixReader& reader) {
    return {{"matrix", reader.manifest().digest.hex()},
            {"method", command.get<std::string>("method")},
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
    const fs::path out = command->get<std::string>("out");
    Progress progress = driver::job_progress(*command, "spectrum", world);
    io::Recipe recipe;
    bool complete = false;
    mpi::agree(world, [&] {
        gram = gram_options(*command, memory);
        reader.emplace(command->get<std::string>("matrix"));
        recipe = spectrum_recipe(*command, *reader);
        if (world.is_root()) complete = already_complete(out, recipe, progress);
    });
    if (mpi::any(world, complete)) return exit_success;
    progress.note(fmt::format("{} ranks, BLAS kernels {}{}", world.size(), dense::blas_kernel(),
                              dense::blas_kernel_is_fallback()
                                  ? " (a fallback: several times slower than this processor allows)"
                                  : ""));
    svd::Spectrum spectrum = svd::gram_spectrum(world, *reader, gram, progress);
    mpi::agree(world, [&] {
        if (!world.is_root()) return;
        spectrum.recipe = recipe;
        spectrum.provenance = provenance(argc, argv, world.size(), {{"blas_kernel", dense::blas_kernel()}});
        for (const Progress::Step& step : progress.steps())
            spectrum.stages.push_back(
                {{"name", step.name}, {"seconds", step.seconds}, {"peak_bytes", step.peak_bytes}});
        svd::write_spectrum(out, spectrum);
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
