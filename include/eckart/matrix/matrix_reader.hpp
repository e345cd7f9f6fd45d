#pragma once

#include "eckart/matrix/block_file.hpp"
#include "eckart/matrix/csr_block.hpp"
#include "eckart/matrix/manifest.hpp"

#include <cstdint>
#include <filesystem>
#include <future>
#include <optional>
#include <utility>
#include <vector>

namespace eckart::matrix {

/// How contexts weigh in G = W'W: every one once (the paper's W), or by its share of the n-grams.
enum class RowWeight { uniform, count };

/// A finished matrix directory, opened for reading. Light: blocks stay on disk until asked for.
class MatrixReader {
public:
    /// Throws `Error` naming what is missing or damaged.
    explicit MatrixReader(std::filesystem::path directory);
    /// A matrix that is not there yet, as a forecast has it: plans can be made for it, blocks not read.
    explicit MatrixReader(Manifest forecast) : manifest_(std::move(forecast)) {}

    const std::filesystem::path& directory() const { return directory_; }
    const Manifest& manifest() const { return manifest_; }
    const Columns& columns() const { return columns_; }
    std::int64_t column_count() const { return manifest_.columns; }
    std::int64_t block_count() const { return static_cast<std::int64_t>(manifest_.blocks.size()); }
    /// Read from disk, checked against the manifest's digest.
    CsrBlock block(std::int64_t number) const;

    /// ||W||_F^2 under the weighting, from the exact count.
    double frobenius_squared(RowWeight weight) const;
    /// The factor of a block's row in G: its multiplicity, or weight / ngrams.
    double row_factor(const CsrBlock& block, std::int64_t row, RowWeight weight) const;
    /// What makes a row of G = sum_r a_r a_r' from counts: a_r = row_scale * counts.
    double row_scale(const CsrBlock& block, std::int64_t row, RowWeight weight) const;
    /// The diagonal that the one-hot rows add to G. Shape: columns.
    std::vector<double> one_hot_diagonal(RowWeight weight) const;

    /// Numbers of the blocks that part `part` of `parts` works on, chosen so that the non-zeros are even.
    std::vector<std::int64_t> share(int part, int parts) const;
    /// Bytes of the largest block in memory.
    std::int64_t largest_block_bytes() const;

private:
    std::filesystem::path directory_;
    Manifest manifest_;
    Columns columns_;
};

/// One pass over some blocks of a matrix: while the caller works on a block, the next is read, decompressed
/// and checked by another thread. Holds two blocks.
class BlockStream {
public:
    BlockStream(const MatrixReader& reader, std::vector<std::int64_t> numbers);
    ~BlockStream();
    BlockStream(BlockStream&&) = delete;

    /// The next block, or nothing at the end. Throws what reading it threw.
    std::optional<CsrBlock> next();

private:
    void prefetch();
    const MatrixReader& reader_;
    std::vector<std::int64_t> numbers_;
    std::size_t position_ = 0;
    std::future<CsrBlock> ahead_;
};

}  // namespace eckart::matrix
