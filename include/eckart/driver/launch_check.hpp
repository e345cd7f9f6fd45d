#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"

#include <nlohmann/json.hpp>

namespace eckart::driver {

/// Where the ranks of a job really are, whatever was asked for.
struct Launch {
    int ranks = 0;
    int threads = 1;   ///< of each rank
    int nodes = 0;     ///< host names
    int machines = 0;  ///< computers: fewer than nodes when nodes are emulated
    int cores = 0;     ///< distinct cores that the ranks may use, together

    bool shares_cores() const { return ranks * threads > cores; }
};
nlohmann::json to_json(const Launch& launch);

/// Asks every rank where it is. Collective.
Launch find_launch(const mpi::Communicator& world);
/// The same, noted in the log: the ranks against what SLURM was asked for, ranks x threads against the cores.
Launch check_launch(const mpi::Communicator& world, Progress& progress);

}  // namespace eckart::driver
