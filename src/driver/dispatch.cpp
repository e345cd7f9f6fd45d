#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/version.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

namespace eckart::driver {

namespace {

struct Subcommand {
    std::string_view name;
    std::string_view summary;
    int (*run)(int, char**);
};

constexpr std::array subcommands{
    Subcommand{"plan", "memory, disk and time of a run, before it", plan_command},
    Subcommand{"run", "corpus to report on this machine; again, it continues", run_command},
    Subcommand{"resume", "continue what remains of a run", resume_command},
    Subcommand{"submit", "the same as a chain of SLURM jobs", submit_command},
    Subcommand{"sweep", "a grid of runs, here or as one SLURM array, with one report", sweep_command},
    Subcommand{"scaling", "times and efficiency over numbers of ranks or nodes", scaling_command},
    Subcommand{"status", "how far a run is", status_command},
    Subcommand{"watch", "follow a run until it ends", watch_command},
    Subcommand{"cancel", "take a run's jobs out of SLURM's hands", cancel_command},
    Subcommand{"tokenize", "text to a token file, once and for all", tokenize_command},
    Subcommand{"report", "one report on one or several runs", report_command},
    Subcommand{"inspect", "what an artefact is", inspect_command},
    Subcommand{"dump", "the counts of a matrix as plain text", dump_command},
};

std::string usage() {
    std::string text = "usage: eckart SUBCOMMAND [options]; eckart SUBCOMMAND --help says more\n\n";
    for (const Subcommand& subcommand : subcommands)
        text += fmt::format("  {:<10} {}\n", subcommand.name, subcommand.summary);
    return text;
}

}  // namespace

int dispatch(int argc, char** argv) {
    const std::string_view name = argc > 1 ? argv[1] : "";
    if (name == "--help" || name == "-h" || name == "--version") {
        std::cout << (name == "--version" ? fmt::format("eckart {}\n", version) : usage());
        return exit_success;
    }
    if (name.empty()) {
        std::cerr << usage();
        return exit_usage;
    }
    const auto found = std::ranges::find(subcommands, name, &Subcommand::name);
    if (found == subcommands.end()) throw UsageError("there is no subcommand '{}'; see eckart --help", name);
    return found->run(argc - 1, argv + 1);
}

}  // namespace eckart::driver
