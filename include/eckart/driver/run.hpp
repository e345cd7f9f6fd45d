#pragma once

#include "eckart/driver/launcher.hpp"
#include "eckart/driver/run_directory.hpp"

#include <filesystem>

namespace eckart::driver {

/// Runs the stages of a run one after another under mpirun, each recognising what is finished. Returns the
/// exit code of the first that does not succeed, or 0.
int run_stages(const RunDirectory& directory, const RunOptions& options, const Placement& placement);

/// Writes the report of a finished run and prints its tables and the path of its page.
void write_run_report(const RunDirectory& directory);

}  // namespace eckart::driver
