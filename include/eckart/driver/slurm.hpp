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

/// All but the number of nodes, of which some commands take several.
po::options_description allocation_options();
/// Throws `UsageError` naming the option that makes no sense.
Allocation allocation_of(const Command& command, int nodes);
nlohmann::json to_json(const Allocation& allocation);
Allocation allocation_from_json(const nlohmann::json& stored);

/// `text` with each @NAME@ replaced. Throws `Error` naming a name that has no value.
std::string filled(const std::string& text, const std::map<std::string, std::string>& values,
                   const std::string& source);

/// The template slurm/NAME with `values` and what the allocation says.
std::string filled_template(const std::string& name, const Allocation& allocation,
                            std::map<std::string, std::string> values);
/// The sbatch script of a stage, from the template slurm/stage.sbatch.
std::string stage_script(const RunDirectory& directory, const RunOptions& options,
                         const Allocation& allocation, Stage stage);

/// Hands a script to sbatch, with a dependency ("afterok:12") unless it is empty. Returns the id.
std::string sbatch(const std::filesystem::path& script, const std::string& dependency);
/// The state of each job that SLURM still knows as waiting or running: id -> "PENDING", "RUNNING", ...
/// Empty when there is no SLURM here.
std::map<std::string, std::string> queued_jobs(const std::vector<std::string>& ids);
/// The ids in a record, in the order of the stages, each once.
std::vector<std::string> job_ids(const RunRecord& record);
/// Throws `Error` naming the jobs when SLURM still holds some for this run, other than this very job.
void require_not_queued(const RunDirectory& directory);
/// When a run ended with `code` because it was told to stop, or the job is being preempted: queues the SLURM
/// job that this process is of again, and waits for SLURM to end it.
void requeue_this_job_if_stopped(int code);

}  // namespace eckart::driver
