#pragma once

#include <string>

namespace eckart::driver {

/// The subcommands of `eckart`. Each takes its own command line, argv[0] being the subcommand's name, prints
/// to stdout what was asked for, and returns the exit code. Throws `UsageError` and `Error`.
int plan_command(int argc, char** argv);
int run_command(int argc, char** argv);
int resume_command(int argc, char** argv);
int submit_command(int argc, char** argv);
int sweep_command(int argc, char** argv);
int scaling_command(int argc, char** argv);
int status_command(int argc, char** argv);
int watch_command(int argc, char** argv);
int cancel_command(int argc, char** argv);
int tokenize_command(int argc, char** argv);
int report_command(int argc, char** argv);
int inspect_command(int argc, char** argv);
int dump_command(int argc, char** argv);

/// Runs the subcommand that argv[1] names.
int dispatch(int argc, char** argv);

}  // namespace eckart::driver
