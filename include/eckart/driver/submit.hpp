#pragma once

#include "eckart/driver/run_directory.hpp"

namespace eckart::driver {

/// Writes the scripts of all stages into the run directory and hands them to SLURM, each after the one
/// before. Throws `Error` when the run is being worked on, here or by SLURM.
void submit(const RunDirectory& directory, RunRecord record);

}  // namespace eckart::driver
