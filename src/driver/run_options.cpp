#include "eckart/driver/run_options.hpp"

#include "eckart/base/error.hpp"
#include "eckart/text/corpus.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <nlohmann/json.hpp>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

constexpr std::array<Stage, 3> stages{Stage::matrix, Stage::spectrum, Stage::verify};

enum class Kind { text, path };

struct Option {
    const char* group;
    const char* name;
    const char* value_name;
    const char* help;
    bool to_matrix, to_spectrum, to_verify;
    Kind kind = Kind::text;
};

/// The one list of the options of the main job.
constexpr std::array options{
    Option{"Corpus", "tokenizer", "FILE", ".model or tokenizer.json; without it text is cut to words", true,
           false, false, Kind::path},
    Option{"Corpus", "vocabulary", "N", "words to keep (default 32000), or the bound of ids in token files",
           true, false, false},
    Option{"Corpus", "token-type", "TYPE", "of .bin files: uint16 (default) or uint32", true, false, false},
    Option{"Corpus", "separator", "ID", "token that ends a document; it is in no n-gram", true, false, false},
    Option{"Corpus", "document-start", "TOKEN", "put before every document of text, e.g. <s>", true, false,
           false},
    Option{"Corpus", "document-end", "TOKEN", "put behind every document of text, e.g. </s>", true, false,
           false},
    Option{"Corpus", "documents", "WHAT", "of plain text: file (default) or lines", true, false, false},
    Option{"Corpus", "field", "NAME", "of JSON lines: the text's field (default text)", true, false, false},
    Option{"Corpus", "on-error", "WHAT", "malformed documents: fail (default) or skip", true, false, false},
    Option{"Counting", "order", "N", "length of the n-grams, 2 to 8 (default 5)", true, false, false},
    Option{"Counting", "min-count", "N", "leave out n-grams that occur less often", true, false, false},
    Option{"Counting", "sample-contexts", "N", "contexts to keep, drawn by hash (default all)", true, false,
           false},
    Option{"Counting", "scratch", "DIR",
           "for spill files, on every node (default $SLURM_TMPDIR, $TMPDIR, /tmp)", true, false, false,
           Kind::path},
    Option{"Counting", "checkpoint", "SECONDS", "least time between checkpoints (default 60)", true, false,
           false},
    Option{"Spectrum", "method", "NAME", "gram (all values, exact), randomized (the leading ones), auto",
           false, true, false},
    Option{"Spectrum", "dimension", "K", "of randomized: how many values", false, true, false},
    Option{"Spectrum", "row-weight", "HOW", "uniform: every context once (default); count: by its n-grams",
           false, true, false},
    Option{"Spectrum", "eigensolver", "NAME", "of gram: two-stage (auto) or scalapack", false, true, false},
    Option{"Spectrum", "precision", "P", "of gram: double (default), or single for half the memory and time",
           false, true, false},
    Option{"Spectrum", "vectors", "K", "leading right singular vectors to keep", false, true, false},
    Option{"Running", "memory", "SIZE", "memory cap of a rank, e.g. 4GiB (default: its share of the node)",
           true, true, true},
};

bool belongs_to(const Option& option, Stage stage) {
    switch (stage) {
        case Stage::matrix:
            return option.to_matrix;
        case Stage::spectrum:
            return option.to_spectrum;
        case Stage::verify:
            return option.to_verify;
    }
    return false;
}

std::string absolute(const std::string& path) {
    return fs::absolute(path).lexically_normal().string();
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
    for (const Option& option : options)
        if (const auto value = values.find(option.name); value != values.end() && belongs_to(option, stage))
            arguments.push_back(fmt::format("--{}={}", option.name, value->second));
    return arguments;
}

std::string RunOptions::get(const std::string& option, const std::string& otherwise) const {
    const auto value = values.find(option);
    return value == values.end() ? otherwise : value->second;
}

po::options_description run_options() {
    po::options_description all;
    for (const char* group : {"Corpus", "Counting", "Spectrum", "Running"}) {
        po::options_description part(group);
        if (group == std::string("Corpus"))
            part.add_options()(
                "corpus", po::value<std::vector<std::string>>()->value_name("PATH..."),
                "text, JSON lines, token files, directories of them, patterns (or the arguments)");
        for (const Option& option : options)
            if (option.group == std::string(group))
                part.add_options()(option.name, po::value<std::string>()->value_name(option.value_name),
                                   option.help);
        all.add(part);
    }
    return all;
}

po::positional_options_description corpus_positional() {
    po::positional_options_description positional;
    positional.add("corpus", -1);
    return positional;
}

RunOptions run_options_of(const Command& command) {
    if (!command.has("corpus")) throw UsageError("no corpus is named; see --help");
    RunOptions result;
    for (const std::string& path : command.get<std::vector<std::string>>("corpus")) {
        text::corpus_files(path);  // throws when there is none; a pattern stays one
        result.corpus.push_back(absolute(path));
    }
    for (const Option& option : options) {
        if (!command.has(option.name)) continue;
        const auto value = command.get<std::string>(option.name);
        result.values[option.name] = option.kind == Kind::path ? absolute(value) : value;
    }
    if (result.get("sample-contexts", "").find(',') != std::string::npos)
        throw UsageError("--sample-contexts: a run takes one sample; 'eckart sweep' takes several");
    return result;
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
