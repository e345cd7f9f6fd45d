#include "eckart/matrix/manifest.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"

namespace eckart::matrix {

namespace {

constexpr const char* format_name = "eckart-matrix";
constexpr int format_version = 1;

nlohmann::json exact_to_json(const ExactSum& sum) {
    return {std::to_string(sum.whole()), std::to_string(sum.fraction())};
}

ExactSum exact_from_json(const nlohmann::json& json) {
    return {std::stoull(json.at(0).get<std::string>()), std::stoull(json.at(1).get<std::string>())};
}

/// Blocks grouped by file: [{path, blocks: [...]}].
nlohmann::json files_to_json(const std::vector<BlockEntry>& blocks) {
    nlohmann::json files = nlohmann::json::array();
    for (const BlockEntry& block : blocks) {
        if (files.empty() || files.back()["path"] != block.file)
            files.push_back({{"path", block.file}, {"blocks", nlohmann::json::array()}});
        files.back()["blocks"].push_back({{"group", block.group},
                                          {"rows", block.rows},
                                          {"nonzeros", block.nonzeros},
                                          {"digest", block.digest.hex()}});
    }
    return files;
}

std::vector<BlockEntry> files_from_json(const nlohmann::json& files) {
    std::vector<BlockEntry> blocks;
    for (const nlohmann::json& file : files)
        for (const nlohmann::json& block : file.at("blocks"))
            blocks.push_back({.file = file.at("path"),
                              .group = block.at("group"),
                              .rows = block.at("rows"),
                              .nonzeros = block.at("nonzeros"),
                              .digest = Digest::parse(block.at("digest").get<std::string>())});
    return blocks;
}

}  // namespace

std::string block_file_name(std::int64_t number) {
    return fmt::format("blocks-{:05}.h5", number);
}
std::string block_group_name(std::int64_t number) {
    return fmt::format("block_{:06}", number);
}

nlohmann::json to_json(const Manifest& m) {
    return {{"format", format_name},
            {"format_version", format_version},
            {"complete", true},
            {"order", m.order},
            {"vocabulary", m.vocabulary},
            {"tokenizer", m.tokenizer},
            {"documents", m.documents},
            {"tokens", m.tokens},
            {"expected_ngrams", m.expected_ngrams},
            {"ngrams", m.ngrams},
            {"contexts", m.contexts},
            {"columns", m.columns},
            {"nonzeros", m.nonzeros},
            {"merged_rows", m.merged_rows},
            {"merged_nonzeros", m.merged_nonzeros},
            {"one_hot_rows", m.one_hot_rows},
            {"one_hot_contexts", m.one_hot_contexts},
            {"frobenius_squared", m.frobenius_squared.value()},
            {"frobenius_squared_exact", exact_to_json(m.frobenius_squared)},
            {"frobenius_squared_by_count", m.frobenius_squared_by_count},
            {"digest", m.digest.hex()},
            {"recipe", m.recipe},
            {"provenance", m.provenance},
            {"stages", m.stages},
            {"statistics", m.statistics},
            {"files", files_to_json(m.blocks)}};
}

Manifest manifest_from_json(const nlohmann::json& json, const std::string& source) {
    try {
        require(json.at("format") == format_name, "{} is not a matrix manifest", source);
        require(json.at("format_version") == format_version,
                "{} has format version {}, this program reads {}", source, json.at("format_version").dump(),
                format_version);
        Manifest m;
        json.at("order").get_to(m.order);
        json.at("vocabulary").get_to(m.vocabulary);
        m.tokenizer = json.at("tokenizer");
        json.at("documents").get_to(m.documents);
        json.at("tokens").get_to(m.tokens);
        json.at("expected_ngrams").get_to(m.expected_ngrams);
        json.at("ngrams").get_to(m.ngrams);
        json.at("contexts").get_to(m.contexts);
        json.at("columns").get_to(m.columns);
        json.at("nonzeros").get_to(m.nonzeros);
        json.at("merged_rows").get_to(m.merged_rows);
        json.at("merged_nonzeros").get_to(m.merged_nonzeros);
        json.at("one_hot_rows").get_to(m.one_hot_rows);
        json.at("one_hot_contexts").get_to(m.one_hot_contexts);
        m.frobenius_squared = exact_from_json(json.at("frobenius_squared_exact"));
        json.at("frobenius_squared_by_count").get_to(m.frobenius_squared_by_count);
        m.digest = Digest::parse(json.at("digest").get<std::string>());
        m.recipe = json.at("recipe");
        m.provenance = json.at("provenance");
        m.stages = json.at("stages");
        m.statistics = json.at("statistics");
        m.blocks = files_from_json(json.at("files"));
        return m;
    } catch (const nlohmann::json::exception& error) {
        throw Error("{} is not a complete manifest: {}", source, error.what());
    } catch (const std::logic_error& error) {
        throw Error("{} is not a complete manifest: a number is malformed ({})", source, error.what());
    }
}

void write_manifest(const std::filesystem::path& directory, const Manifest& manifest) {
    nlohmann::json json = to_json(manifest);
    json["checksum"] = digest_of(json.dump()).hex();
    io::write_file(directory / manifest_name, json.dump(1) + "\n");
}

bool has_manifest(const std::filesystem::path& directory) {
    return std::filesystem::exists(directory / manifest_name);
}

Manifest read_manifest(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / manifest_name;
    require(std::filesystem::is_directory(directory), "there is no matrix directory {}", directory.string());
    require(std::filesystem::exists(path), "{} holds no finished matrix: there is no {}", directory.string(),
            manifest_name);
    nlohmann::json json = nlohmann::json::parse(io::read_file(path), nullptr, false);
    require(json.is_object(), "{} is not valid JSON", path.string());
    Manifest manifest = manifest_from_json(json, path.string());
    const std::string checksum = json.value("checksum", "");
    json.erase("checksum");
    require(checksum == digest_of(json.dump()).hex(),
            "{} is not the one that was written (its checksum differs)", path.string());
    return manifest;
}

}  // namespace eckart::matrix
