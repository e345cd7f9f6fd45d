#pragma once

#include "eckart/base/error.hpp"
#include "eckart/base/random.hpp"

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

/// Rows of W on their way to be merged, as 32-bit words:
///     head | multiplicity | weight | successors... | counts...
/// The head holds the number of successors and two flags: multiplicity and weight, or the counts, take two
/// words each (low first).
namespace eckart::ngrams {

/// A row as it lies in the words.
struct RowView {
    static constexpr std::uint32_t wide_counts_flag = 1U << 31, wide_head_flag = 1U << 30;

    std::uint64_t multiplicity = 0;  ///< contexts that have this row
    std::uint64_t weight = 0;        ///< their n-grams
    std::uint32_t size = 0;          ///< successors
    bool wide_counts = false;
    std::span<const std::uint32_t> content;  ///< successors, then counts: what makes rows equal

    std::span<const std::uint32_t> successors() const { return content.first(size); }
    std::uint64_t count(std::size_t at) const {
        if (!wide_counts) return content[size + at];
        return content[size + 2 * at] | (std::uint64_t{content[size + 2 * at + 1]} << 32);
    }
};

/// Reads rows one after another. Throws `Error` when the last is cut off.
class RowReader {
public:
    explicit RowReader(std::span<const std::uint32_t> words) : words_(words) {}
    bool at_end() const { return at_ == words_.size(); }
    /// Words before the next row.
    std::size_t place() const { return at_; }
    RowView next() {
        require(!at_end(), "there is no further row");
        const std::uint32_t head = words_[at_];
        const bool wide_head = (head & RowView::wide_head_flag) != 0;
        RowView row;
        row.wide_counts = (head & RowView::wide_counts_flag) != 0;
        row.size = head & ~(RowView::wide_counts_flag | RowView::wide_head_flag);
        const std::size_t before = wide_head ? 5 : 3,
                          length = std::size_t{row.size} * (row.wide_counts ? 3 : 2);
        require(before + length <= words_.size() - at_, "a row is cut off");
        const std::uint32_t* const word = words_.data() + at_;
        row.multiplicity = wide_head ? word[1] | (std::uint64_t{word[2]} << 32) : word[1];
        row.weight = wide_head ? word[3] | (std::uint64_t{word[4]} << 32) : word[2];
        row.content = words_.subspan(at_ + before, length);
        at_ += before + length;
        return row;
    }

private:
    std::span<const std::uint32_t> words_;
    std::size_t at_ = 0;
};

/// Spreads rows over buckets: the same for equal rows.
inline std::uint64_t row_hash(std::span<const std::uint32_t> successors,
                              std::span<const std::uint64_t> counts) {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15ULL;
    std::uint64_t state = successors.size();
    for (std::size_t i = 0; i < successors.size(); ++i)
        state = std::rotl((state ^ successors[i]) * odd + counts[i], 29);
    return mix64(state);
}

void append_row(std::vector<std::uint32_t>& words, std::uint64_t multiplicity, std::uint64_t weight,
                std::span<const std::uint32_t> successors, std::span<const std::uint64_t> counts);
void append_row(std::vector<std::uint32_t>& words, const RowView& row);

}  // namespace eckart::ngrams
