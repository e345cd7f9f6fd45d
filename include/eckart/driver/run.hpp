#pragma once

#include "eckart/driver/launcher.hpp"
#include "eckart/driver/plan.hpp"
#include "eckart/driver/run_directory.hpp"

#include <filesystem>

namespace eckart::driver {

/// Prints the plan of a run; a sample is counted under mpirun with `placement` for it, unless the matrix is
/// there. False when it does not fit into `with`; true also when no plan can be made.
bool show_plan(const RunDirectory& directory, const RunOptions& options, const Placement& placement,
               const Resources& with);

/// A run on this machine, from its first stage that is not finished to the report. Returns the exit code.
/// Throws `Error` when somebody else works on it.
int run_here(const RunDirectory& directory, const RunRecord& record, const Placement& placement);

/// Runs the stages of a run one after another under mpirun, each recognising what is finished. Returns the
/// exit code of the first that does not succeed, or 0.
int run_stages(const RunDirectory& directory, const RunOptions& options, const Placement& placement);

/// Writes the report of a finished run and prints its tables and the path of its page.
void write_run_report(const RunDirectory& directory);

}  // namespace eckart::driver
