#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace eckart {

/// "8GiB", "512M", "1.5G", "4096" -> bytes; K, M, G, T are binary. Throws `UsageError` otherwise.
std::int64_t parse_bytes(std::string_view text);
/// 1610612736 -> "1.50 GiB".
std::string format_bytes(double bytes);
/// 1234567 -> "1.23 M"; for rates and counts.
std::string format_count(double count);
/// 75.2 -> "1m15s".
std::string format_seconds(double seconds);

/// What a rank will hold, named part by part, before any data is read.
class MemoryPlan {
public:
    explicit MemoryPlan(std::int64_t cap_per_rank) : cap_(cap_per_rank) {}

    MemoryPlan& add(std::string part, std::int64_t bytes);
    std::int64_t total() const;
    std::int64_t cap() const { return cap_; }
    std::int64_t left() const { return cap_ - total(); }
    /// One line a part, then the total and the cap.
    std::string describe() const;
    /// Throws `Error` with the plan and `advice` (what would fit) when the total exceeds the cap.
    void require_fits(std::string_view advice) const;

private:
    struct Part {
        std::string name;
        std::int64_t bytes;
    };
    std::int64_t cap_;
    std::vector<Part> parts_;
};

/// Resident bytes of this process now, and its peak, from /proc/self/status.
std::int64_t resident_bytes();
std::int64_t peak_resident_bytes();
/// Bytes this process may use: the least of physical memory, the cgroup's limit and what SLURM gave the node.
std::int64_t available_memory();
/// Cores this process may run on (its cpuset).
int available_cores();
std::vector<int> available_core_numbers();

}  // namespace eckart
