#include "eckart/base/provenance.hpp"

#include "eckart/version.hpp"

#include <chrono>
#include <ctime>
#include <fstream>
#include <span>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace eckart {

namespace {

const std::string program_start = utc_now();

}  // namespace

std::string utc_now() {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

std::string host_name() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string machine_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    return file >> id ? id : host_name();
}

nlohmann::json provenance(int argc, const char* const* argv, int ranks, const nlohmann::json& extra) {
    std::string command;
    for (const char* word : std::span(argv, static_cast<std::size_t>(argc)))
        command += (command.empty() ? "" : " ") + std::string(word);
    nlohmann::json facts = {{"software", "eckart"}, {"version", version}, {"command", command},
                            {"host", host_name()},  {"ranks", ranks},     {"started", program_start}};
    if (extra.is_object()) facts.update(extra);
    return facts;
}

}  // namespace eckart
