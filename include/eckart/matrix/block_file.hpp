#pragma once

#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "eckart/matrix/csr_block.hpp"
#include "eckart/matrix/manifest.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace eckart::matrix {

/// Writes one file of a matrix directory: groups in the CSR convention of scipy and AnnData (`data`,
/// `indices`, `indptr`, `shape`) with `multiplicity` and `weight` beside them. Not collective: each file has
/// one writer.
class BlockFileWriter {
public:
    /// `deflate_level` 0 leaves the arrays as they are; 1 to 9 compress with HDF5's own filters.
    BlockFileWriter(const std::filesystem::path& directory, std::int64_t file_number,
                    const nlohmann::json& provenance, int deflate_level = 0);
    /// Adds a block; `number` counts blocks over the whole matrix.
    void add(std::int64_t number, const CsrBlock& block);
    /// Closes, syncs and renames the file; returns the entries for the manifest. Call it once, last.
    std::vector<BlockEntry> commit();

private:
    io::PendingFile pending_;
    io::Hdf5File file_;
    std::string name_;
    int deflate_level_;
    std::vector<BlockEntry> entries_;
};

/// Reads a block and proves it: shape, well-formedness and digest are those of the manifest.
/// Throws `Error` naming file and group.
CsrBlock read_block(const std::filesystem::path& directory, const BlockEntry& entry, std::int64_t columns);

/// The columns of a matrix, by compacted number: their tokens, and the merged one-hot rows.
struct Columns {
    std::vector<std::int64_t> token_ids;             ///< ascending
    std::vector<std::int64_t> one_hot_multiplicity;  ///< contexts whose only successor is the column
    std::vector<std::int64_t> one_hot_weight;        ///< n-grams of those contexts
    std::vector<std::string> pieces;                 ///< the tokens as text; may be empty
};
void write_columns(const std::filesystem::path& directory, const Columns& columns);
Columns read_columns(const std::filesystem::path& directory);

/// Digest of a row as it enters the matrix digest: columns by token id, so that it does not depend on
/// compaction.
Digest row_digest(std::span<const std::int64_t> token_ids, std::span<const std::int32_t> indices,
                  std::span<const std::uint64_t> data, std::int64_t multiplicity, std::int64_t weight);
/// The part of the matrix digest that is not rows: order, vocabulary, contexts, columns and one-hot rows.
Digest header_digest(const Manifest& manifest, const Columns& columns);

}  // namespace eckart::matrix
