#include "eckart/driver/stage_options.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace eckart::driver {

po::options_description counting_options() {
    po::options_description counting("Counting");
    counting.add_options()("order", po::value<int>()->default_value(5)->value_name("N"),
                           "length of the n-grams, 2 to 8")(
        "min-count", po::value<std::int64_t>()->default_value(1)->value_name("N"),
        "leave out n-grams that occur less often")(
        "sample-contexts", po::value<std::string>()->default_value("all")->value_name("N,..."),
        "contexts to keep, drawn by hash: a number, 'all', or several, each of which makes a matrix in "
        "DIR/contexts-N")("keep-contexts", po::bool_switch(),
                          "also keep the unmerged rows, with their contexts (see eckart dump)")(
        "checkpoint", po::value<double>()->default_value(60)->value_name("SECONDS"),
        "least time between checkpoints of the spill");
    return counting;
}

po::options_description scratch_options() {
    po::options_description scratch("Scratch");
    scratch.add_options()("scratch", po::value<std::string>()->value_name("DIR"),
                          "for what memory does not hold (default $SLURM_TMPDIR, $TMPDIR, /tmp)");
    return scratch;
}

std::filesystem::path scratch_root(const std::string& given) {
    if (!given.empty()) return given;
    for (const char* name : {"SLURM_TMPDIR", "TMPDIR"})
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
    return "/tmp";
}

std::filesystem::path scratch_root(const Command& command) {
    return scratch_root(command.has("scratch") ? command.get<std::string>("scratch") : std::string());
}

po::options_description spectrum_options() {
    po::options_description spectrum("Spectrum");
    spectrum.add_options()("method", po::value<std::string>()->default_value("auto")->value_name("NAME"),
                           "gram (all values, exact), randomized (the leading ones), auto")(
        "row-weight", po::value<std::string>()->default_value("uniform")->value_name("HOW"),
        "uniform: every context once; count: by its share of the n-grams")(
        "eigensolver", po::value<std::string>()->default_value("auto")->value_name("NAME"),
        "of gram: two-stage, lapack (small problems), auto, or scalapack to hold them against")(
        "precision", po::value<std::string>()->default_value("double")->value_name("P"),
        "of gram: double, or single for half the memory and time")(
        "unsquared", po::bool_switch(),
        "a last pass over W itself, so that small values keep their digits; gram does it unasked where it is "
        "cheap")("no-checkpoint", po::bool_switch(),
                 "keep no checkpoint beside the spectrum while it is computed")(
        "vectors", po::value<std::int64_t>()->default_value(0)->value_name("K"),
        "keep the leading K right singular vectors")(
        "left-vectors", po::value<std::string>()->value_name("FILE"),
        "contexts, a line of token ids each: keep their rows of U too (with --vectors, --keep-contexts)");
    po::options_description randomized("Of --method randomized");
    randomized.add_options()("dimension", po::value<std::int64_t>()->value_name("K"),
                             "how many leading values (512)")(
        "tolerance", po::value<double>()->default_value(1e-4, "1e-4")->value_name("T"),
        "on W-error(d), every d up to K, absolute")(
        "passes", po::value<std::int64_t>()->default_value(0)->value_name("N"),
        "exactly so many passes over the matrix to build the basis; 0: until the tolerance is met")(
        "block", po::value<std::int64_t>()->default_value(0)->value_name("N"),
        "columns multiplied in a pass; 0: from the dimension")(
        "seed", po::value<std::uint64_t>()->default_value(1)->value_name("N"), "of the random start");
    return spectrum.add(randomized);
}

}  // namespace eckart::driver
