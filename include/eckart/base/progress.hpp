#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace eckart {

/// Progress of one job on stderr, fit for a batch log: a line a step, percent, rate, time left, memory; on a
/// terminal the line is rewritten in place. Steps and their seconds are kept for the summary. With a status
/// file, the same facts are left there as JSON for `eckart status`. A silent one (other ranks) only keeps
/// time.
class Progress {
public:
    struct Step {
        std::string name;
        double seconds = 0;
        std::int64_t done = 0;
        std::string unit;
        std::int64_t peak_bytes = 0;
    };

    /// `job` names the stage, e.g. "matrix"; it is number `index` of `count`, or alone when `count` is 0.
    static Progress on_stderr(std::string job, int index = 0, int count = 0,
                              std::filesystem::path status_file = {});
    static Progress silent();
    ~Progress();
    Progress(Progress&&) noexcept = default;
    Progress& operator=(Progress&&) = delete;

    /// Ends the current step, starts the next. `total` 0 means not known.
    void begin(std::string step, std::int64_t total = 0, std::string unit = "");
    /// `done` of the total so far; prints now and then, cheap otherwise.
    void update(std::int64_t done);
    void end();
    /// One plain line, e.g. what a plan or a choice of method was and why.
    void note(std::string_view text);

    const std::vector<Step>& steps() const { return steps_; }
    double seconds() const;

private:
    using Clock = std::chrono::steady_clock;
    Progress() = default;
    void show(bool last);
    void write_status(bool finished);

    bool silent_ = false;
    bool live_ = false;
    std::string prefix_;
    std::string job_;
    std::filesystem::path status_file_;
    std::vector<Step> steps_;
    bool in_step_ = false;
    std::int64_t total_ = 0;
    Clock::time_point job_start_ = Clock::now();
    Clock::time_point step_start_;
    Clock::time_point last_shown_;
};

}  // namespace eckart
