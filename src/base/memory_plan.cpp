#include "eckart/base/memory_plan.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <span>

#include <sched.h>
#include <unistd.h>

namespace eckart {

namespace {

constexpr std::int64_t kibi = 1024;

/// The number of kibibytes behind `key` in /proc/self/status, in bytes.
std::int64_t status_bytes(std::string_view key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10) * kibi;
    return 0;
}

std::int64_t cgroup_limit() {
    std::ifstream file("/sys/fs/cgroup/memory.max");
    std::int64_t limit = 0;
    return file >> limit ? limit : std::numeric_limits<std::int64_t>::max();
}

/// The job's share of the node: SLURM_MEM_PER_NODE, or SLURM_MEM_PER_CPU times the node's CPUs; in MiB.
std::int64_t slurm_limit() {
    const auto number = [](const char* name) -> std::int64_t {
        const char* text = std::getenv(name);
        return text == nullptr ? 0 : std::strtoll(text, nullptr, 10);
    };
    const std::int64_t node = number("SLURM_MEM_PER_NODE"),
                       cpus = number("SLURM_MEM_PER_CPU") * number("SLURM_CPUS_ON_NODE");
    const std::int64_t mebibytes = node > 0 ? node : cpus;
    return mebibytes > 0 ? mebibytes * kibi * kibi : std::numeric_limits<std::int64_t>::max();
}

std::string scaled(double value, double step, std::span<const char* const> units) {
    std::size_t unit = 0;
    while (std::abs(value) >= step && unit + 1 < units.size()) value /= step, ++unit;
    if (unit == 0 && value == std::floor(value)) return fmt::format("{:.0f}{}", value, units[0]);
    const int digits = std::abs(value) >= 100 ? 0 : std::abs(value) >= 10 ? 1 : 2;
    return fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

}  // namespace

std::int64_t parse_bytes(std::string_view text) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    const std::size_t power =
        unit.empty() ? 0 : std::string_view("BKMGT").find(static_cast<char>(unit[0] & ~0x20));
    const std::string_view rest_of_unit = unit.substr(std::min<std::size_t>(unit.size(), 1));
    const bool suffix_ok =
        rest_of_unit.empty() ||
        (power > 0 && (rest_of_unit == "iB" || rest_of_unit == "B" || rest_of_unit == "i"));
    if (error != std::errc() || value <= 0 || power == std::string_view::npos || !suffix_ok)
        throw UsageError("'{}' is not a size: write for example 512MiB, 8GiB", text);
    const double bytes = value * std::pow(static_cast<double>(kibi), static_cast<double>(power));
    if (bytes > 0x1p62) throw UsageError("the size '{}' is too large", text);
    return static_cast<std::int64_t>(bytes);
}

std::string format_bytes(double bytes) {
    static constexpr std::array units{" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    return scaled(bytes, 1024, units);
}

std::string format_count(double count) {
    static constexpr std::array units{"", " k", " M", " G", " T", " P"};
    return scaled(count, 1000, units);
}

std::string format_seconds(double seconds) {
    if (seconds < 10) return fmt::format("{:.2f}s", seconds);
    if (seconds < 60) return fmt::format("{:.1f}s", seconds);
    const auto whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

MemoryPlan& MemoryPlan::add(std::string part, std::int64_t bytes) {
    parts_.push_back({std::move(part), bytes});
    return *this;
}

std::int64_t MemoryPlan::total() const {
    std::int64_t sum = 0;
    for (const Part& part : parts_) sum += part.bytes;
    return sum;
}

std::string MemoryPlan::describe() const {
    std::string text;
    for (const Part& part : parts_)
        text += fmt::format("  {:<52} {:>12}\n", part.name, format_bytes(static_cast<double>(part.bytes)));
    return text + fmt::format("  {:<52} {:>12} of {} a rank", "together",
                              format_bytes(static_cast<double>(total())),
                              format_bytes(static_cast<double>(cap_)));
}

void MemoryPlan::require_fits(std::string_view advice) const {
    require(total() <= cap_, "the plan does not fit in memory:\n{}\n{}", describe(), advice);
}

std::int64_t resident_bytes() {
    return status_bytes("VmRSS:");
}
std::int64_t peak_resident_bytes() {
    return status_bytes("VmHWM:");
}

std::int64_t available_memory() {
    const std::int64_t bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    return std::min({bytes, cgroup_limit(), slurm_limit()});
}

std::vector<int> available_core_numbers() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
    std::vector<int> numbers;
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set)) numbers.push_back(core);
    return numbers;
}

int available_cores() {
    return static_cast<int>(available_core_numbers().size());
}

}  // namespace eckart
