#include "eckart/base/progress.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/provenance.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace eckart {

namespace {
constexpr std::chrono::milliseconds live_interval{200};
constexpr std::chrono::seconds plain_interval{10};

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
    return std::chrono::duration<double>(b - a).count();
}

/// "1.23 MB", "1.23 M n-grams".
std::string amount(double number, const std::string& unit) {
    const std::string text = format_count(number);
    const bool prefixed = text.find(' ') != std::string::npos;
    return unit == "B" && prefixed ? text + unit : text + ' ' + unit;
}
}  // namespace

Progress Progress::on_stderr(std::string job, int index, int count, std::filesystem::path status_file) {
    Progress progress;
    progress.live_ = isatty(STDERR_FILENO) == 1;
    progress.prefix_ = count > 0 ? fmt::format("[{}/{} {}]", index, count, job) : fmt::format("[{}]", job);
    progress.job_ = std::move(job);
    progress.status_file_ = std::move(status_file);
    return progress;
}

Progress Progress::silent() {
    Progress progress;
    progress.silent_ = true;
    return progress;
}

Progress::~Progress() {
    if (live_ && in_step_) std::cerr << '\n';
}

double Progress::seconds() const {
    return seconds_between(job_start_, Clock::now());
}

void Progress::begin(std::string step, std::int64_t total, std::string unit) {
    end();
    steps_.push_back(
        {.name = std::move(step), .seconds = 0, .done = 0, .unit = std::move(unit), .peak_bytes = 0});
    total_ = total;
    in_step_ = true;
    step_start_ = last_shown_ = Clock::now();
    if (live_) show(false);
    write_status(false);
}

void Progress::update(std::int64_t done) {
    if (!in_step_) return;
    steps_.back().done = done;
    const auto now = Clock::now();
    if (silent_ ||
        now - last_shown_ < (live_ ? Clock::duration(live_interval) : Clock::duration(plain_interval)))
        return;
    last_shown_ = now;
    show(false);
    write_status(false);
}

void Progress::end() {
    if (!in_step_) return;
    Step& step = steps_.back();
    step.seconds = seconds_between(step_start_, Clock::now());
    step.peak_bytes = peak_resident_bytes();
    if (total_ > 0) step.done = total_;
    if (!silent_) show(true);
    in_step_ = false;
    write_status(true);
}

void Progress::note(std::string_view text) {
    if (silent_) return;
    std::cerr << (live_ && in_step_ ? "\r\033[K" : "") << prefix_ << ' ' << text << std::endl;
}

void Progress::show(bool last) {
    const Step& step = steps_.back();
    const double seconds = seconds_between(step_start_, Clock::now());
    std::string line = fmt::format("{} {}", prefix_, step.name);
    if (total_ > 0 && !last)
        line +=
            fmt::format("  {:.0f} %", 100.0 * static_cast<double>(step.done) / static_cast<double>(total_));
    if (step.done > 0 && !step.unit.empty()) {
        const double done = static_cast<double>(step.done);
        line += fmt::format("  {}  {}/s", amount(done, step.unit),
                            amount(done / std::max(seconds, 1e-3), step.unit));
        if (total_ > step.done && !last)
            line += fmt::format("  ETA {}",
                                format_seconds(seconds * static_cast<double>(total_ - step.done) / done));
    }
    if (last) line += "  " + format_seconds(seconds);
    line += "  " + format_bytes(static_cast<double>(resident_bytes()));
    std::cerr << (live_ ? "\r\033[K" : "") << line;
    if (!live_ || last)
        std::cerr << std::endl;
    else
        std::cerr << std::flush;
}

void Progress::write_status(bool finished_step) {
    if (silent_ || status_file_.empty()) return;
    const Step& step = steps_.back();
    const nlohmann::json status = {{"job", job_},
                                   {"step", step.name},
                                   {"done", step.done},
                                   {"total", total_},
                                   {"unit", step.unit},
                                   {"step_finished", finished_step},
                                   {"seconds", seconds()},
                                   {"step_seconds", seconds_between(step_start_, Clock::now())},
                                   {"resident_bytes", resident_bytes()},
                                   {"host", host_name()},
                                   {"pid", getpid()},
                                   {"updated", utc_now()}};
    const std::filesystem::path partial = status_file_.string() + ".partial";
    std::error_code ignored;  // a status that cannot be written must not stop the job
    if (std::ofstream(partial) << status.dump(2) << '\n')
        std::filesystem::rename(partial, status_file_, ignored);
}

}  // namespace eckart
