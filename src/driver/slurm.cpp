#include "eckart/driver/slurm.hpp"

#include "eckart/base/error.hpp"
#include "eckart/driver/launcher.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

namespace eckart::driver {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The folder with the templates: beside the programs' folder, as `share/eckart/slurm`.
fs::path template_path(const std::string& name) {
    const fs::path path = program_path("eckart").parent_path().parent_path() / "share/eckart/slurm" / name;
    require(fs::exists(path), "there is no template {}", path.string());
    return path;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// Whether this process is of that job, or of that task of an array.
bool is_this_job(const std::string& id) {
    return id == variable("SLURM_JOB_ID") ||
           id == variable("SLURM_ARRAY_JOB_ID") + "_" + variable("SLURM_ARRAY_TASK_ID");
}

std::string more_directives(const Allocation& allocation) {
    std::string text = fmt::format("#SBATCH {}", allocation.requeue ? "--requeue" : "--no-requeue");
    const auto add = [&](const char* option, const std::string& value) {
        if (!value.empty()) text += fmt::format("\n#SBATCH --{}={}", option, value);
    };
    add("partition", allocation.partition);
    add("account", allocation.account);
    add("mem", allocation.memory);
    return text;
}

/// srun needs its PMI named, and must not wait for ranks that are gone.
std::vector<std::string> launch_words(const Allocation& allocation) {
    if (allocation.launcher == "srun") return {"srun", "--mpi=pmix", "--kill-on-bad-exit=1"};
    return {"mpirun", "-n", std::to_string(allocation.nodes * allocation.tasks_per_node)};
}

/// The last stage writes the report as well.
std::string report_lines(const RunDirectory& directory, Stage stage) {
    if (stage != all_stages().back()) return "";
    const auto words =
        std::vector<std::string>{program_path("eckart").string(), "report", directory.path().string(),
                                 "--out", directory.report().string()};
    return fmt::format("if [ \"$code\" = 0 ]; then\n    {}\n    code=$?\nfi", shell_text(words));
}

}  // namespace

po::options_description allocation_options() {
    po::options_description options("SLURM");
    options.add_options()("ntasks-per-node", po::value<int>()->default_value(1)->value_name("M"),
                          "ranks on each")(
        "cpus-per-task", po::value<int>()->default_value(1)->value_name("T"), "threads of each rank")(
        "time", po::value<std::string>()->default_value("1:00:00")->value_name("T"), "time limit of a stage")(
        "grace", po::value<int>()->default_value(120)->value_name("SECONDS"),
        "before the limit the ranks save their work")(
        "partition", po::value<std::string>()->default_value("")->value_name("P"), "partition")(
        "account", po::value<std::string>()->default_value("")->value_name("A"), "account")(
        "node-memory", po::value<std::string>()->default_value("")->value_name("SIZE"),
        "memory of a node (--mem)")(
        "launcher", po::value<std::string>()->default_value("srun")->value_name("NAME"), "srun or mpirun")(
        "site", po::value<std::string>()->default_value("")->value_name("FILE"),
        "shell commands to run first: modules, network")(
        "requeue", po::value<bool>()->default_value(true)->implicit_value(true)->value_name("BOOL"),
        "queue a stage again that its limit, a preemption or a lost node stopped");
    return options;
}

Allocation allocation_of(const Command& command, int nodes) {
    if (nodes < 1) throw UsageError("--nodes is at least 1, not {}", nodes);
    const auto positive = [&](const char* option) {
        const int value = command.get<int>(option);
        if (value < 1) throw UsageError("--{} is at least 1, not {}", option, value);
        return value;
    };
    Allocation result{.nodes = nodes,
                      .tasks_per_node = positive("ntasks-per-node"),
                      .threads = positive("cpus-per-task"),
                      .time = command.get<std::string>("time"),
                      .launcher = command.get<std::string>("launcher"),
                      .partition = command.get<std::string>("partition"),
                      .account = command.get<std::string>("account"),
                      .memory = command.get<std::string>("node-memory"),
                      .site = command.get<std::string>("site"),
                      .grace = positive("grace"),
                      .requeue = command.flag("requeue")};
    if (result.launcher != "srun" && result.launcher != "mpirun")
        throw UsageError("--launcher is srun or mpirun, not {}", result.launcher);
    if (!result.site.empty()) {
        require(fs::exists(result.site), "there is no site file {}", result.site);
        result.site = fs::absolute(result.site).lexically_normal().string();
    }
    return result;
}

json to_json(const Allocation& allocation) {
    return {{"kind", "slurm"},
            {"nodes", allocation.nodes},
            {"ntasks_per_node", allocation.tasks_per_node},
            {"cpus_per_task", allocation.threads},
            {"time", allocation.time},
            {"launcher", allocation.launcher},
            {"partition", allocation.partition},
            {"account", allocation.account},
            {"node_memory", allocation.memory},
            {"site", allocation.site},
            {"grace", allocation.grace},
            {"requeue", allocation.requeue}};
}

Allocation allocation_from_json(const json& stored) {
    const Allocation otherwise;
    return {.nodes = stored.value("nodes", otherwise.nodes),
            .tasks_per_node = stored.value("ntasks_per_node", otherwise.tasks_per_node),
            .threads = stored.value("cpus_per_task", otherwise.threads),
            .time = stored.value("time", otherwise.time),
            .launcher = stored.value("launcher", otherwise.launcher),
            .partition = stored.value("partition", ""),
            .account = stored.value("account", ""),
            .memory = stored.value("node_memory", ""),
            .site = stored.value("site", ""),
            .grace = stored.value("grace", otherwise.grace),
            .requeue = stored.value("requeue", otherwise.requeue)};
}

std::string filled(const std::string& text, const std::map<std::string, std::string>& values,
                   const std::string& source) {
    const auto is_name = [](const std::string& name) {
        return !name.empty() && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == std::string::npos;
    };
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t open = text.find('@', at);
        const std::size_t close = open == std::string::npos ? open : text.find('@', open + 1);
        if (close == std::string::npos) return result + text.substr(at);
        const std::string name = text.substr(open + 1, close - open - 1);
        result += text.substr(at, open - at);
        if (!is_name(name)) {  // a plain @
            result += '@';
            at = open + 1;
            continue;
        }
        const auto value = values.find(name);
        require(value != values.end(), "{}: @{}@ means nothing", source, name);
        result += value->second;
        at = close + 1;
    }
    return result;
}

std::string filled_template(const std::string& name, const Allocation& allocation,
                            std::map<std::string, std::string> values) {
    values.merge(std::map<std::string, std::string>{
        {"NODES", std::to_string(allocation.nodes)},
        {"TASKS_PER_NODE", std::to_string(allocation.tasks_per_node)},
        {"THREADS", std::to_string(allocation.threads)},
        {"TIME", allocation.time},
        {"GRACE", std::to_string(allocation.grace)},
        {"MORE", more_directives(allocation)},
        {"SITE", allocation.site.empty() ? "" : "source " + shell_text({allocation.site})}});
    const fs::path source = template_path(name);
    return filled(io::read_file(source), values, source.string());
}

std::string stage_script(const RunDirectory& directory, const RunOptions& options,
                         const Allocation& allocation, Stage stage) {
    std::vector<std::string> launch = launch_words(allocation);
    launch.push_back(program_path(program_of(stage)).string());
    for (const std::string& argument : directory.arguments_of(stage, options)) launch.push_back(argument);
    return filled_template("stage.sbatch", allocation,
                           {{"STAGE", name_of(stage)},
                            {"LOG", directory.log_of(stage).string()},
                            {"JOURNAL", shell_text({directory.journal().string()})},
                            {"LAUNCH", shell_text(launch)},
                            {"AFTER", report_lines(directory, stage)}});
}

std::string sbatch(const fs::path& script, const std::string& dependency) {
    std::vector<std::string> command{"sbatch", "--parsable"};
    if (!dependency.empty()) command.push_back("--dependency=" + dependency);
    command.push_back(script.string());
    std::string id = output_of(command);
    id = id.substr(0, id.find_first_of(";\n"));
    require(!id.empty(), "sbatch gave no job id for {}", script.string());
    return id;
}

std::map<std::string, std::string> queued_jobs(const std::vector<std::string>& ids) {
    std::map<std::string, std::string> states;
    if (ids.empty()) return states;
    std::istringstream lines;
    try {
        lines.str(output_of({"squeue", "--noheader", "--array", "--format=%i %T"}));
    } catch (const Error&) {  // no SLURM on this machine, or no controller to ask
        return states;
    }
    for (std::string id, state; lines >> id >> state;)
        if (std::ranges::find(ids, id) != ids.end()) states[id] = state;
    return states;
}

std::vector<std::string> job_ids(const RunRecord& record) {
    std::vector<std::string> ids;
    for (const json& job : record.jobs)
        if (std::string id = job.value("id", ""); std::ranges::find(ids, id) == ids.end())
            ids.push_back(std::move(id));
    return ids;
}

void require_not_queued(const RunDirectory& directory) {
    if (!directory.has_record()) return;
    std::vector<std::string> waiting;
    for (const auto& [id, state] : queued_jobs(job_ids(directory.load())))
        if (!is_this_job(id)) waiting.push_back(id);
    require(waiting.empty(), "SLURM still holds jobs for {} ({}): 'eckart cancel' it, or wait",
            directory.path().string(), joined(waiting, ", "));
}

void requeue_this_job_if_stopped(int code) {
    const std::string id = variable("SLURM_JOB_ID");
    require(!id.empty(), "--requeue: this is not a SLURM job");
    const auto preempted = [&] {  // which may end mpirun's helpers before the ranks can save anything
        return output_of({"scontrol", "show", "job", id}).find("PreemptTime=2") != std::string::npos;
    };
    if (code == exit_success || (code != exit_interrupted && !preempted())) return;
    output_of({"scontrol", "requeue", id});
    // SLURM ends this process; an exit of its own could be taken for that of the job's next start.
    std::this_thread::sleep_for(std::chrono::minutes(10));
}

}  // namespace eckart::driver
