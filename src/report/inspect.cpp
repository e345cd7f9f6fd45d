#include "eckart/report/inspect.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "eckart/matrix/manifest.hpp"
#include "eckart/svd/spectrum.hpp"

namespace eckart::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json of_manifest(const fs::path& directory) {
    const matrix::Manifest m = matrix::read_manifest(directory);
    std::vector<std::string> missing;
    for (const matrix::BlockEntry& block : m.blocks)
        if (!fs::exists(directory / block.file) && (missing.empty() || missing.back() != block.file))
            missing.push_back(block.file);
    if (!fs::exists(directory / matrix::columns_name)) missing.emplace_back(matrix::columns_name);
    json facts = {{"kind", "matrix of n-gram counts"},
                  {"complete", missing.empty()},
                  {"format", "HDF5 row blocks (CSR) with a manifest, version 1"},
                  {"order", m.order},
                  {"shape", {m.contexts, m.columns}},
                  {"merged_shape", {m.merged_rows, m.columns}},
                  {"nonzeros", m.nonzeros},
                  {"merged_nonzeros", m.merged_nonzeros},
                  {"documents", m.documents},
                  {"tokens", m.tokens},
                  {"ngrams", m.ngrams},
                  {"frobenius_squared", m.frobenius_squared.value()},
                  {"blocks", m.blocks.size()},
                  {"digest", m.digest.hex()},
                  {"tokenizer", m.tokenizer},
                  {"recipe", m.recipe},
                  {"provenance", m.provenance}};
    if (!missing.empty()) facts["missing"] = missing;
    return facts;
}

json of_spectrum(const fs::path& path) {
    const svd::Spectrum s = svd::read_spectrum(path);
    json facts = {{"kind", "spectrum"},
                  {"complete", true},
                  {"format", "HDF5, version 1"},
                  {"method", s.method},
                  {"values", s.size()},
                  {"all_values", s.complete},
                  {"matrix_shape", {s.contexts, s.columns}},
                  {"matrix_digest", s.matrix_digest},
                  {"row_weight", s.row_weight},
                  {"precision", s.precision},
                  {"frobenius_squared", s.frobenius_squared},
                  {"sigma_floor", s.floor},
                  {"right_vectors", io::Hdf5File::open(path).exists("right_vectors")},
                  {"recipe", s.recipe},
                  {"provenance", s.provenance},
                  {"notes", s.notes}};
    if (s.size() > 0) facts["sigma"] = {s.sigma(0), s.sigma(s.size() - 1)};
    return facts;
}

json of_blocks(const io::Hdf5File& file) {
    json blocks = json::array();
    for (const std::string& group : file.members("/")) {
        const auto shape = file.read<std::int64_t>(group + "/shape");
        blocks.push_back({{"group", group},
                          {"shape", shape},
                          {"nonzeros", file.shape(group + "/data").front()},
                          {"digest", file.text_attribute(group, "digest")}});
    }
    return {{"kind", "row blocks of a matrix"},
            {"complete", true},
            {"format", "HDF5 groups in the CSR convention (data, indices, indptr, shape), version 1"},
            {"blocks", blocks},
            {"provenance", json::parse(file.text_attribute("/", "provenance"))}};
}

json of_hdf5(const fs::path& path) {
    const io::Hdf5File file = io::Hdf5File::open(path);
    const std::string format =
        file.has_attribute("/", "format") ? file.text_attribute("/", "format") : "none";
    if (format == "eckart-spectrum") return of_spectrum(path);
    if (format == "eckart-matrix-blocks") return of_blocks(file);
    if (format == "eckart-matrix-columns")
        return {{"kind", "columns of a matrix"},
                {"complete", true},
                {"format", "HDF5, version 1"},
                {"columns", file.shape("token_ids").front()},
                {"with_text", file.exists("pieces")}};
    throw Error("{} is an HDF5 file, but none of Eckart's", path.string());
}

json of_json(const fs::path& path) {
    const json content = json::parse(io::read_file(path), nullptr, false);
    require(content.is_object(), "{} is not a JSON object", path.string());
    const std::string format = content.value("format", "");
    if (format == "eckart-matrix") return of_manifest(path.parent_path());
    if (format == "eckart-verdict")
        return {{"kind", "verdict"},
                {"complete", true},
                {"passed", content.at("passed")},
                {"checks", content.at("checks")},
                {"provenance", content.at("provenance")}};
    if (format == "eckart-summary") {
        json facts = {{"kind", "summary of a report"}, {"complete", true}};
        facts.update(content);
        return facts;
    }
    throw Error("{} is a JSON file, but none that inspect knows", path.string());
}

json state_of(const fs::path& path, const char* absent) {
    return fs::exists(path) ? json("there") : json(absent);
}

/// A run directory: each of its parts, in a line.
json of_run(const fs::path& directory) {
    const bool matrix = matrix::has_manifest(directory / "matrix"),
               spectrum = fs::exists(directory / "spectrum.h5");
    json facts = {{"kind", "run directory"},
                  {"complete", matrix && spectrum && fs::exists(directory / "report" / "index.html")},
                  {"report", state_of(directory / "report" / "index.html", "not written")}};
    facts["matrix"] = matrix ? of_manifest(directory / "matrix") : json("not finished");
    facts["spectrum"] = spectrum ? of_spectrum(directory / "spectrum.h5") : json("not finished");
    const fs::path verdict = directory / "verdict.json";
    facts["verified"] = fs::exists(verdict) ? of_json(verdict)["passed"] : json("not yet");
    return facts;
}

/// Only a writer that is running, or was killed, leaves such a name.
json of_partial(const fs::path& path) {
    return {{"kind", "unfinished file"},
            {"complete", false},
            {"bytes", fs::file_size(path)},
            {"meaning", "its writer is still at work or was killed; nothing reads it"}};
}

json of_directory(const fs::path& path) {
    if (matrix::has_manifest(path)) return of_manifest(path);
    if (fs::exists(path / "run.json") || fs::exists(path / "matrix")) return of_run(path);
    for (const fs::directory_entry& entry : fs::directory_iterator(path))
        if (entry.path().filename().string().starts_with("blocks-"))
            return {{"kind", "matrix of n-gram counts"},
                    {"complete", false},
                    {"meaning", "there is no manifest: its writer is still at work or was killed"}};
    if (fs::exists(path / "summary.json")) return of_json(path / "summary.json");
    throw Error("{} is a directory, but none of Eckart's", path.string());
}

json facts_of(const fs::path& path) {
    require(fs::exists(path), "there is nothing at {}", path.string());
    if (fs::is_directory(path)) return of_directory(path);
    const std::string extension = path.extension().string();
    if (extension == ".partial") return of_partial(path);
    if (extension == ".h5" || extension == ".hdf5") return of_hdf5(path);
    if (extension == ".json") return of_json(path);
    throw Error("{} is none of Eckart's artefacts", path.string());
}

/// One line a value, deeper ones indented; long lists are cut.
std::string lines_of(const json& facts, int depth) {
    constexpr std::size_t most = 20;
    const std::string indent(static_cast<std::size_t>(2 * depth), ' ');
    std::string text;
    for (const auto& [name, value] : facts.items()) {
        if (value.is_object() && !value.empty()) {
            text += fmt::format("{}{}\n{}", indent, name, lines_of(value, depth + 1));
        } else if (value.is_array() && !value.empty() && value.front().is_structured()) {
            text += fmt::format("{}{} ({})\n", indent, name, value.size());
            for (std::size_t i = 0; i < std::min(value.size(), most); ++i)
                text += fmt::format("{}  {}\n", indent, value[i].dump());
            if (value.size() > most) text += fmt::format("{}  ... {} more\n", indent, value.size() - most);
        } else {
            text += fmt::format("{}{:<{}} {}\n", indent, name, std::max(1, 24 - 2 * depth),
                                value.is_string() ? value.get<std::string>() : value.dump());
        }
    }
    return text;
}

}  // namespace

json inspect(const fs::path& path) {
    try {
        json facts = facts_of(path);
        facts["path"] = path.string();
        return facts;
    } catch (const json::exception& error) {
        throw Error("{} is damaged: {}", path.string(), error.what());
    }
}

std::string inspection_text(const json& facts) {
    json rest = facts;
    std::string text;
    for (const char* first : {"path", "kind", "complete"})
        if (rest.contains(first)) {
            text += lines_of(json{{first, rest[first]}}, 0);
            rest.erase(first);
        }
    return text + lines_of(rest, 0);
}

}  // namespace eckart::report
