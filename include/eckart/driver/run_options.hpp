#pragma once

#include "eckart/driver/command_line.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace eckart::driver {

/// One of the MPI programs that the main job runs, in the order in which it runs them.
enum class Stage { matrix, spectrum, verify };
std::span<const Stage> all_stages();
std::string name_of(Stage stage);     // "matrix"
std::string program_of(Stage stage);  // "eckart-matrix"

/// What to compute: the options of the main job as they were given, paths made absolute, so that they mean
/// the same from another directory, on another node, and tomorrow.
struct RunOptions {
    std::vector<std::string> corpus;
    std::map<std::string, std::string> values;

    /// The arguments of a stage's program: the corpus, and those options that are its own.
    std::vector<std::string> arguments_of(Stage stage) const;
    /// The value given, or `otherwise`.
    std::string get(const std::string& option, const std::string& otherwise) const;
    /// All of it as a configuration file, the defaults in force included.
    std::string configuration() const;
};

/// The options that say what to compute: all those of the programs of the stages, so that `run`, `plan`,
/// `submit`, `sweep`, `scaling` and their configuration files take whatever a program takes.
po::options_description run_options();
po::positional_options_description corpus_positional();
/// Throws `UsageError` when no corpus is named, or a program would not take an option; `Error` when a corpus
/// is not there.
RunOptions run_options_of(const Command& command);

/// A run of a sweep, with a name made of what distinguishes it: "reviews-llama2-100000-order4".
struct GridPoint {
    std::string name;
    RunOptions options;
};
/// Every combination of the corpora with the values of --tokenizer, --sample-contexts and --order that commas
/// separate; the tokenizer `words` is none. Throws as `run_options_of` does.
std::vector<GridPoint> grid_of(const Command& command);

nlohmann::json to_json(const RunOptions& options);
/// Throws `Error` naming `source` when it is not what `to_json` wrote.
RunOptions run_options_from_json(const nlohmann::json& json, const std::string& source);

}  // namespace eckart::driver
