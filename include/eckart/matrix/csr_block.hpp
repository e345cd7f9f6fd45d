#pragma once

#include "eckart/base/digest.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::matrix {

/// A block of merged rows in compressed sparse row form, integer counts. Row r holds the successors
/// `indices[indptr[r]..indptr[r+1])` (compacted columns, ascending) with their `data`, divided by the row's
/// gcd; it stands for `multiplicity[r]` contexts with `weight[r]` n-grams together.
struct CsrBlock {
    std::int64_t columns = 0;
    std::vector<std::int64_t> indptr{0};
    std::vector<std::int32_t> indices;
    std::vector<std::uint64_t> data;
    std::vector<std::int64_t> multiplicity;
    std::vector<std::int64_t> weight;

    std::int64_t rows() const { return static_cast<std::int64_t>(multiplicity.size()); }
    std::int64_t nonzeros() const { return static_cast<std::int64_t>(indices.size()); }
    std::span<const std::int32_t> row_indices(std::int64_t row) const {
        return std::span(indices).subspan(static_cast<std::size_t>(indptr[row]),
                                          static_cast<std::size_t>(indptr[row + 1] - indptr[row]));
    }
    std::span<const std::uint64_t> row_data(std::int64_t row) const {
        return std::span(data).subspan(static_cast<std::size_t>(indptr[row]),
                                       static_cast<std::size_t>(indptr[row + 1] - indptr[row]));
    }
    void append_row(std::span<const std::int32_t> columns_of_row, std::span<const std::uint64_t> counts,
                    std::int64_t contexts, std::int64_t ngrams);
    /// Takes the rows out and keeps the memory.
    void clear();
    /// Bytes held.
    std::int64_t bytes() const;
};

/// Digest of everything in the block, in order: what a reader compares with the manifest.
Digest digest_of(const CsrBlock& block);

/// Throws `Error`, beginning with `name`, unless the block is a well-formed block of merged rows: indptr
/// ascending from 0 to the non-zeros, indices ascending within [0, columns), at least two non-zeros a row,
/// positive counts and multiplicities. A reader may then index without checks.
void require_well_formed(const CsrBlock& block, const std::string& name);

}  // namespace eckart::matrix
