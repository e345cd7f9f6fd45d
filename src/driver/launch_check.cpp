#include "eckart/driver/launch_check.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>

namespace eckart::driver {

using nlohmann::json;

namespace {

int number_in(const char* variable) {
    const char* text = std::getenv(variable);
    return text == nullptr ? 0 : std::atoi(text);
}

std::string counted(int number, const char* noun) {
    return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string described(const Launch& launch) {
    const std::string where = launch.machines < launch.nodes
                                  ? fmt::format("{} emulated on {}", counted(launch.nodes, "node"),
                                                counted(launch.machines, "machine"))
                                  : counted(launch.nodes, "node");
    return fmt::format("{} x {} on {}, {} together{}", counted(launch.ranks, "rank"),
                       counted(launch.threads, "thread"), where, counted(launch.cores, "core"),
                       launch.shares_cores() ? ": they take turns, times say little about speed" : "");
}

}  // namespace

json to_json(const Launch& launch) {
    return {{"ranks", launch.ranks},
            {"threads", launch.threads},
            {"nodes", launch.nodes},
            {"machines", launch.machines},
            {"cores", launch.cores}};
}

Launch find_launch(const mpi::Communicator& world) {
    const int threads = number_in("OMP_NUM_THREADS");
    const json here = {{"host", host_name()},
                       {"machine", machine_id()},
                       {"cores", available_core_numbers()},
                       {"threads", threads > 0 ? threads : available_cores()}};
    std::set<std::string> hosts, machines;
    std::set<std::pair<std::string, int>> cores;
    Launch launch{.ranks = world.size()};
    for (const std::string& text : mpi::all_gather(world, here.dump())) {
        const json rank = json::parse(text);
        const std::string machine = rank.at("machine");
        hosts.insert(rank.at("host").get<std::string>());
        machines.insert(machine);
        for (const int core : rank.at("cores")) cores.emplace(machine, core);
        launch.threads = std::max(launch.threads, rank.at("threads").get<int>());
    }
    launch.nodes = static_cast<int>(hosts.size());
    launch.machines = static_cast<int>(machines.size());
    launch.cores = static_cast<int>(cores.size());
    return launch;
}

Launch check_launch(const mpi::Communicator& world, Progress& progress) {
    const Launch launch = find_launch(world);
    progress.note("launch: " + described(launch));
    if (const int tasks = number_in("SLURM_NTASKS"); tasks > 0)
        progress.note(fmt::format("launch: SLURM's tasks are {}, the ranks {}{}", tasks, launch.ranks,
                                  tasks == launch.ranks ? "" : ": not the same"));
    return launch;
}

}  // namespace eckart::driver
