#pragma once

#include "eckart/driver/launcher.hpp"
#include "eckart/driver/run_directory.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::driver {

/// What a run is to have.
struct Resources {
    int nodes = 1;
    int ranks_per_node = 1;
    int threads = 1;
    std::int64_t memory = 0;   ///< of a rank, bytes
    std::int64_t scratch = 0;  ///< of a node, bytes; 0: not known

    int ranks() const { return nodes * ranks_per_node; }
    double cores() const { return static_cast<double>(ranks()) * threads; }
};

struct StagePlan {
    std::string name;
    std::int64_t memory = 0;  ///< of a rank, bytes
    double scratch = 0;       ///< bytes on all nodes together
    double output = 0;        ///< bytes
    double seconds = 0;
};

/// What a run will take, stage by stage.
struct RunPlan {
    nlohmann::json facts;  ///< of the matrix: counted, or carried on from a sample
    Resources resources;
    std::vector<StagePlan> stages;
    std::string misfit;   ///< why it does not fit; empty when it does
    int least_nodes = 0;  ///< that fit; 0 when no number does

    std::string describe() const;
};
nlohmann::json to_json(const RunPlan& plan);

/// The sizes of a run's matrix: from its manifest when it is there; else a sample is counted under mpirun
/// with `placement`. Throws `Error` with the program's own when that fails.
nlohmann::json matrix_facts(const RunDirectory& directory, const RunOptions& options,
                            const Placement& placement);
/// Arithmetic alone.
RunPlan make_plan(const nlohmann::json& facts, const RunOptions& options, const Resources& with);

/// This machine, shared by the ranks.
Resources resources_here(const RunOptions& options, const Placement& placement);

}  // namespace eckart::driver
