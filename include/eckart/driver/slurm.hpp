#pragma once

#include "eckart/driver/run_directory.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace eckart::driver {

/// What is asked of SLURM for each stage of a run.
struct Allocation {
    int nodes = 1;
    int tasks_per_node = 1;
    int threads = 1;
    std::string time = "1:00:00";
    std::string launcher = "srun";  ///< or "mpirun"
    std::string partition, account, memory;
    std::string site;  ///< a file of shell commands, run before the programs
    int grace = 120;   ///< seconds before the limit at which the ranks are told to save their work
    bool requeue = true;
};

po::options_description allocation_options();
/// Throws `UsageError` naming the option that makes no sense.
Allocation allocation_of(const Command& command);
nlohmann::json to_json(const Allocation& allocation);
Allocation allocation_from_json(const nlohmann::json& stored);

/// `text` with each @NAME@ replaced. Throws `Error` naming a name that has no value.
std::string filled(const std::string& text, const std::map<std::string, std::string>& values,
                   const std::string& source);

/// The sbatch script of a stage, from the template slurm/stage.sbatch.
std::string stage_script(const RunDirectory& directory, const RunOptions& options,
                         const Allocation& allocation, Stage stage);

/// Hands a script to sbatch; `after`, when not empty, is the job that must succeed first. Returns the id.
std::string sbatch(const std::filesystem::path& script, const std::string& after);
/// The state of each job that SLURM still knows as waiting or running: id -> "PENDING", "RUNNING", ...
/// Empty when there is no SLURM here.
std::map<std::string, std::string> queued_jobs(const std::vector<std::string>& ids);
/// The ids in a record, in the order of the stages.
std::vector<std::string> job_ids(const RunRecord& record);
/// Throws `Error` naming the jobs when SLURM still holds some for this run.
void require_not_queued(const RunDirectory& directory);

}  // namespace eckart::driver
