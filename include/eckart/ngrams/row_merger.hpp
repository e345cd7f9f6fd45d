#pragma once

#include "eckart/ngrams/row_code.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// Merges equal rows: one row with the sums of their multiplicities and weights. Borrows the words of the
/// rows.
class RowMerger {
public:
    explicit RowMerger(std::span<const std::uint32_t> words);

    /// Distinct rows, in the order of first sight until sorted.
    const std::vector<RowView>& rows() const { return rows_; }
    /// Puts the rows in order: by successors, lexicographically, then by counts.
    void sort();

private:
    void grow();
    std::vector<RowView> rows_;
    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint32_t> slots_;  // 1 + index into rows_, or 0: open addressing
};

/// The same rows with equal ones merged.
std::vector<std::uint32_t> merged(std::span<const std::uint32_t> words);

}  // namespace eckart::ngrams
