#include "eckart/driver/run_options.hpp"

#include "eckart/base/error.hpp"
#include "eckart/driver/corpus_options.hpp"
#include "eckart/driver/stage_options.hpp"
#include "eckart/text/corpus.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <set>
#include <sstream>

#include <boost/any.hpp>
#include <nlohmann/json.hpp>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

constexpr std::array<Stage, 3> stages{Stage::matrix, Stage::spectrum, Stage::verify};
constexpr std::array path_options{"tokenizer", "scratch", "left-vectors"};

/// What of a stage's program is for a run to set; the rest (places, progress) is the driver's.
po::options_description options_of(Stage stage) {
    po::options_description options;
    if (stage == Stage::matrix) options.add(corpus_options()).add(counting_options()).add(scratch_options());
    if (stage == Stage::spectrum) options.add(spectrum_options()).add(scratch_options());
    po::options_description running("Running");
    running.add(job_options().options().front());  // --memory
    return options.add(running);
}

bool is_switch(const po::option_description& option) {
    return option.semantic()->max_tokens() == 0;
}

/// The same options taken as text: types are checked by `require_valid`, with the stage's own description.
po::options_description as_text(const po::options_description& options, const char* caption) {
    po::options_description result(caption);
    for (const auto& option : options.options()) {
        const std::string& name = option->long_name();
        if (is_switch(*option))
            result.add_options()(name.c_str(), po::bool_switch(), option->description().c_str());
        else if (name != "corpus")
            result.add_options()(name.c_str(),
                                 po::value<std::string>()->value_name(option->semantic()->name()),
                                 option->description().c_str());
        else
            result.add_options()("corpus", po::value<std::vector<std::string>>()->value_name("PATH..."),
                                 option->description().c_str());
    }
    return result;
}

template <typename... Types>
std::string text_of(const boost::any& value) {
    std::string text;
    const auto try_type = [&]<typename T>(const T* typed) {
        if (typed != nullptr) text = fmt::format("{}", *typed);
    };
    (try_type(boost::any_cast<Types>(&value)), ...);
    return text;
}

std::string absolute(const std::string& path) {
    return fs::absolute(path).lexically_normal().string();
}

/// Throws `UsageError` when the program of a stage would not take these arguments.
void require_valid(const RunOptions& options) {
    for (const Stage stage : stages) try {
            po::variables_map values;
            po::store(po::command_line_parser(options.arguments_of(stage))
                          .options(options_of(stage))
                          .positional(corpus_positional())
                          .run(),
                      values);
            po::notify(values);
        } catch (const po::error& error) {
            throw UsageError("{}; see --help", error.what());
        }
}

/// The options as they were given, paths made absolute; lists (of a sweep) are left as they are.
RunOptions given(const Command& command) {
    if (!command.has("corpus")) throw UsageError("no corpus is named; see --help");
    RunOptions result;
    for (const std::string& path : command.get<std::vector<std::string>>("corpus")) {
        text::corpus_files(path);  // throws when there is none; a pattern stays one
        result.corpus.push_back(absolute(path));
    }
    for (const Stage stage : stages) {
        const po::options_description options = options_of(stage);
        for (const auto& option : options.options()) {
            const std::string& name = option->long_name();
            if (name == "corpus" || !command.has(name)) continue;
            if (is_switch(*option)) {
                if (command.flag(name)) result.values[name] = "true";
                continue;
            }
            const auto value = command.get<std::string>(name);
            const bool is_path = std::ranges::find(path_options, name) != path_options.end();
            const bool is_one = !value.empty() && value.find(',') == std::string::npos;
            result.values[name] = is_path && is_one ? absolute(value) : value;
        }
    }
    return result;
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    std::istringstream text(list);
    for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
    return parts;
}

/// "/data/reviews.jsonl.zst" -> "reviews".
std::string stem_of(const std::string& path) {
    const std::string name = fs::path(path).filename().string();
    return name.substr(0, name.find('.', 1));
}

/// Names of directories: a second "reviews" becomes "reviews-2".
void make_names_distinct(std::vector<GridPoint>& grid) {
    std::set<std::string> taken;
    for (GridPoint& point : grid) {
        if (point.name.empty()) point.name = "run";
        const std::string name = point.name;
        for (int number = 2; !taken.insert(point.name).second; ++number)
            point.name = fmt::format("{}-{}", name, number);
    }
}

}  // namespace

std::span<const Stage> all_stages() {
    return stages;
}

std::string name_of(Stage stage) {
    constexpr std::array names{"matrix", "spectrum", "verify"};
    return names[static_cast<std::size_t>(stage)];
}

std::string program_of(Stage stage) {
    return "eckart-" + name_of(stage);
}

std::vector<std::string> RunOptions::arguments_of(Stage stage) const {
    std::vector<std::string> arguments;
    if (stage == Stage::matrix) arguments = corpus;
    const po::options_description options = options_of(stage);
    for (const auto& option : options.options()) {
        const auto value = values.find(option->long_name());
        if (value == values.end()) continue;
        arguments.push_back(is_switch(*option) ? "--" + value->first
                                               : fmt::format("--{}={}", value->first, value->second));
    }
    return arguments;
}

std::string RunOptions::get(const std::string& option, const std::string& otherwise) const {
    const auto value = values.find(option);
    return value == values.end() ? otherwise : value->second;
}

std::string RunOptions::configuration() const {
    std::string text = "# What this run computes; 'eckart run --config THIS_FILE' computes it again.\n";
    for (const std::string& path : corpus) text += fmt::format("corpus = {}\n", path);
    for (const Stage stage : stages) {
        const po::options_description options = options_of(stage);
        for (const auto& option : options.options()) {
            const std::string& name = option->long_name();
            if (name == "corpus" || (name == "memory" && stage != Stage::matrix)) continue;
            boost::any otherwise;
            option->semantic()->apply_default(otherwise);
            const std::string value =
                get(name, text_of<int, std::int64_t, std::uint64_t, double, bool, std::string>(otherwise));
            if (!value.empty()) text += fmt::format("{} = {}\n", name, value);
        }
    }
    return text;
}

po::options_description run_options() {
    po::options_description all;
    return all.add(as_text(corpus_options(), "Corpus"))
        .add(as_text(counting_options(), "Counting"))
        .add(as_text(spectrum_options(), "Spectrum"))
        .add(as_text(scratch_options(), "Scratch"))
        .add(as_text(options_of(Stage::verify), "Running"));
}

po::positional_options_description corpus_positional() {
    po::positional_options_description positional;
    positional.add("corpus", -1);
    return positional;
}

RunOptions run_options_of(const Command& command) {
    RunOptions result = given(command);
    if (result.get("sample-contexts", "").find(',') != std::string::npos)
        throw UsageError("--sample-contexts: a run takes one sample; 'eckart sweep' takes several");
    require_valid(result);
    return result;
}

std::vector<GridPoint> grid_of(const Command& command) {
    const RunOptions all = given(command);
    std::vector<GridPoint> grid{{"", all}};
    const auto multiply = [&](const auto& values, auto&& set, auto&& name_of_value) {
        std::vector<GridPoint> larger;
        for (const GridPoint& point : grid)
            for (const std::string& value : values) {
                larger.push_back(point);
                set(larger.back().options, value);
                if (values.size() > 1)
                    larger.back().name += (point.name.empty() ? "" : "-") + name_of_value(value);
            }
        grid = std::move(larger);
    };
    multiply(
        all.corpus, [](RunOptions& options, const std::string& path) { options.corpus = {path}; }, stem_of);
    for (const char* option : {"tokenizer", "sample-contexts", "order"}) {
        const std::string list = all.get(option, "");
        if (list.empty()) continue;
        const bool is_path = option == path_options[0];
        multiply(
            split(list),
            [&](RunOptions& options, const std::string& value) {
                if (is_path && value == "words")
                    options.values.erase(option);
                else
                    options.values[option] = is_path ? absolute(value) : value;
            },
            [&](const std::string& value) {
                return is_path ? stem_of(value) : option == std::string("order") ? "order" + value : value;
            });
    }
    for (GridPoint& point : grid) require_valid(point.options);
    make_names_distinct(grid);
    return grid;
}

nlohmann::json to_json(const RunOptions& options) {
    nlohmann::json json = options.values;
    json["corpus"] = options.corpus;
    return json;
}

RunOptions run_options_from_json(const nlohmann::json& json, const std::string& source) {
    RunOptions result;
    try {
        result.corpus = json.at("corpus").get<std::vector<std::string>>();
        for (const auto& [name, value] : json.items())
            if (name != "corpus") result.values[name] = value.get<std::string>();
    } catch (const nlohmann::json::exception& error) {
        throw Error("{} does not hold the options of a run: {}", source, error.what());
    }
    return result;
}

}  // namespace eckart::driver
