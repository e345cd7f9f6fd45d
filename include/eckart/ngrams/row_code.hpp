#pragma once

#include "eckart/base/random.hpp"

#include <cstdint>
#include <numeric>
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
    std::uint64_t hash() const {
        std::uint64_t state = size;
        std::size_t at = 0;
        for (; at + 1 < content.size(); at += 2)
            state =
                mix64(state + (content[at] | (std::uint64_t{content[at + 1]} << 32))) + 0x9e3779b97f4a7c15ULL;
        if (at < content.size()) state = mix64(state + content[at]);
        return mix64(state);
    }
};

/// Reads rows one after another.
class RowReader {
public:
    explicit RowReader(std::span<const std::uint32_t> words) : words_(words) {}
    bool at_end() const { return at_ == words_.size(); }
    RowView next();

private:
    std::uint64_t number(bool wide);
    std::span<const std::uint32_t> words_;
    std::size_t at_ = 0;
};

void append_row(std::vector<std::uint32_t>& words, std::uint64_t multiplicity, std::uint64_t weight,
                std::span<const std::uint32_t> successors, std::span<const std::uint64_t> counts);
void append_row(std::vector<std::uint32_t>& words, const RowView& row);

}  // namespace eckart::ngrams
