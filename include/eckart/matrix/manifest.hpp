#pragma once

#include "eckart/base/digest.hpp"
#include "eckart/base/exact_sum.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::matrix {

/// A block as the manifest knows it.
struct BlockEntry {
    std::string file;   ///< relative to the matrix directory
    std::string group;  ///< HDF5 group in the file
    std::int64_t rows = 0;
    std::int64_t nonzeros = 0;
    Digest digest;
};

/// What a matrix directory holds: written last, so a directory with a manifest is complete.
struct Manifest {
    int order = 0;
    std::int64_t vocabulary = 0;
    nlohmann::json tokenizer;  ///< how text became tokens
    std::int64_t documents = 0;
    std::int64_t tokens = 0;
    std::int64_t expected_ngrams = 0;  ///< sum over documents of max(0, length - order + 1), by the reader
    std::int64_t ngrams = 0;           ///< counted (less than expected only with sampling or a minimum count)
    std::int64_t contexts = 0;         ///< rows of W
    std::int64_t columns = 0;          ///< tokens that occur as a successor
    std::int64_t nonzeros = 0;         ///< of W, unmerged
    std::int64_t merged_rows = 0;      ///< distinct rows of W, one-hot ones included
    std::int64_t merged_nonzeros = 0;
    std::int64_t one_hot_rows = 0;          ///< distinct one-hot rows: columns with at least one
    std::int64_t one_hot_contexts = 0;      ///< contexts with a single successor
    ExactSum frobenius_squared;             ///< ||W||_F^2, every context once
    double frobenius_squared_by_count = 0;  ///< the same with contexts weighted by weight / ngrams
    Digest digest;                          ///< of the matrix: independent of ranks, memory and block sizes
    nlohmann::json recipe;
    nlohmann::json provenance;
    nlohmann::json stages;      ///< [{name, seconds, peak_bytes}]
    nlohmann::json statistics;  ///< rates, bytes spilled, exchanged and written, imbalance
    std::vector<BlockEntry> blocks;
};

/// Names of a matrix directory's files.
inline constexpr const char* manifest_name = "manifest.json";
inline constexpr const char* columns_name = "columns.h5";
std::string block_file_name(std::int64_t number);   // blocks-00007.h5
std::string block_group_name(std::int64_t number);  // block_000007

nlohmann::json to_json(const Manifest& manifest);
/// Throws `Error` naming `source` and the field when one is missing or of the wrong kind.
Manifest manifest_from_json(const nlohmann::json& json, const std::string& source);

/// Writes DIRECTORY/manifest.json, atomically.
void write_manifest(const std::filesystem::path& directory, const Manifest& manifest);
/// Throws `Error` naming what is wrong when the directory holds no complete matrix.
Manifest read_manifest(const std::filesystem::path& directory);
bool has_manifest(const std::filesystem::path& directory);

}  // namespace eckart::matrix
