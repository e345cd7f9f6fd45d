#pragma once

#include "eckart/driver/run_options.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::driver {

/// A line of a run's journal: a stage started, or ended with a code. Written by `eckart run` and by the
/// SLURM scripts alike.
struct Event {
    std::string time;  // UTC
    std::string stage;
    std::string what;  // "started", "ended"
    int code = 0;      ///< of "ended"
    std::string host;
    std::string job;  ///< SLURM's id of the job; empty outside SLURM
    int restarts = 0;
};

/// What is kept of a run besides its artefacts.
struct RunRecord {
    RunOptions options;
    nlohmann::json launch = nlohmann::json::object();  ///< ranks, threads; nodes, time, ... under SLURM
    nlohmann::json jobs = nlohmann::json::array();     ///< of the last submission: [{stage, id}]
};

/// The places in a run directory.
class RunDirectory {
public:
    explicit RunDirectory(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path matrix() const { return path_ / "matrix"; }
    std::filesystem::path spectrum() const { return path_ / "spectrum.h5"; }
    std::filesystem::path verdict() const { return path_ / "verdict.json"; }
    std::filesystem::path report() const { return path_ / "report"; }
    std::filesystem::path logs() const { return path_ / "logs"; }
    std::filesystem::path scripts() const { return path_ / "slurm"; }
    std::filesystem::path log_of(Stage stage) const { return logs() / (name_of(stage) + ".log"); }
    std::filesystem::path status_of(Stage stage) const { return logs() / (name_of(stage) + ".json"); }
    std::filesystem::path journal() const { return logs() / "journal.jsonl"; }

    /// Makes the directories. Throws `Error` when they cannot be made or written to.
    void make() const;
    bool has_record() const;
    /// Writes run.json, and run.ini: the options in force, for --config.
    void save(const RunRecord& record) const;
    /// Throws `Error` when this is not a run directory.
    RunRecord load() const;

    /// The arguments of a stage's program in this run.
    std::vector<std::string> arguments_of(Stage stage, const RunOptions& options) const;

    void append(const Event& event) const;
    std::vector<Event> events() const;
    /// Whether the artefact of a stage is there, whole.
    bool has_output(Stage stage) const;
    /// The line in the stage's log that says why it ended, last time: its own, or the launcher's first; empty
    /// when there is none.
    std::string last_error(Stage stage) const;

private:
    std::filesystem::path record_path() const { return path_ / "run.json"; }
    std::filesystem::path path_;
};

/// Now, here; with SLURM's job when there is one.
Event event_now(Stage stage, const std::string& what, int code = 0);

}  // namespace eckart::driver
