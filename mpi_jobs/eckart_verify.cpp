// eckart-verify: checks a matrix and its spectrum without any solver code, and leaves a verdict.

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/driver/launch_check.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/report/verify.hpp"

#include <iostream>

using namespace eckart;
namespace po = driver::po;
namespace fs = std::filesystem;

namespace {

driver::Command parse(int argc, char** argv) {
    po::options_description options("Options");
    options.add_options()("matrix", po::value<std::string>()->required()->value_name("DIR"),
                          "the matrix directory (or first argument)")(
        "spectrum", po::value<std::string>()->required()->value_name("FILE"),
        "the spectrum (or second argument)")("out", po::value<std::string>()->value_name("FILE"),
                                             "the verdict (default: verdict.json beside the spectrum)");
    options.add(driver::job_options());
    po::positional_options_description positional;
    positional.add("matrix", 1).add("spectrum", 1);
    return driver::parse_command(
        argc, argv, "eckart-verify MATRIX_DIR SPECTRUM.h5 [--out FILE]",
        "Checks every block of a matrix and its spectrum. Exit code 3 when one check "
        "fails.",
        options, positional);
}

int run(int argc, char** argv, const mpi::Communicator& world) {
    const driver::Command command = parse(argc, argv);
    if (!command.message.empty()) {
        if (world.is_root()) std::cout << command.message;
        return exit_success;
    }
    watch_for_interrupt();
    const fs::path matrix = command.get<std::string>("matrix"),
                   spectrum = command.get<std::string>("spectrum");
    const fs::path out = command.has("out") ? fs::path(command.get<std::string>("out"))
                                            : spectrum.parent_path() / "verdict.json";
    Progress progress = driver::job_progress(command, "verify", world);
    const driver::Launch launch = driver::check_launch(world, progress);
    const nlohmann::json recipe = report::verdict_recipe(matrix, spectrum);
    if (mpi::broadcast(world, report::has_passed(out, recipe))) {
        progress.note(fmt::format("already verified; remove {} to do it again", out.string()));
        return exit_success;
    }
    const report::Verdict verdict = report::verify(world, matrix, spectrum, progress);
    if (world.is_root()) {
        for (const report::Check& check : verdict.checks)
            if (!check.passed) progress.note(fmt::format("FAILED: {} ({})", check.name, check.found));
        progress.note(fmt::format("{} checks {}", verdict.checks.size(),
                                  verdict.passed() ? "passed" : "made, the verdict is FAILED"));
        report::write_verdict(out, verdict, recipe,
                              provenance(argc, argv, world.size(), {{"launch", driver::to_json(launch)}}),
                              progress);
    }
    return verdict.passed() ? exit_success : exit_verification_failed;
}

}  // namespace

int main(int argc, char** argv) {
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) { return run(argc, argv, world); });
}
