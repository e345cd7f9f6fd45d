#include "eckart/ngrams/row_code.hpp"

#include <algorithm>

namespace eckart::ngrams {

namespace {

constexpr std::uint64_t narrow_limit = std::uint64_t{1} << 32;

void put(std::vector<std::uint32_t>& words, std::uint64_t value, bool wide) {
    words.push_back(static_cast<std::uint32_t>(value));
    if (wide) words.push_back(static_cast<std::uint32_t>(value >> 32));
}

void put_head(std::vector<std::uint32_t>& words, std::size_t size, std::uint64_t multiplicity,
              std::uint64_t weight, bool wide_counts) {
    const bool wide_head = (multiplicity | weight) >= narrow_limit;
    words.push_back(static_cast<std::uint32_t>(size) | (wide_counts ? RowView::wide_counts_flag : 0) |
                    (wide_head ? RowView::wide_head_flag : 0));
    put(words, multiplicity, wide_head);
    put(words, weight, wide_head);
}

}  // namespace

void append_row(std::vector<std::uint32_t>& words, std::uint64_t multiplicity, std::uint64_t weight,
                std::span<const std::uint32_t> successors, std::span<const std::uint64_t> counts) {
    const bool wide = *std::max_element(counts.begin(), counts.end()) >= narrow_limit;
    put_head(words, successors.size(), multiplicity, weight, wide);
    words.insert(words.end(), successors.begin(), successors.end());
    for (const std::uint64_t count : counts) put(words, count, wide);
}

void append_row(std::vector<std::uint32_t>& words, const RowView& row) {
    put_head(words, row.size, row.multiplicity, row.weight, row.wide_counts);
    words.insert(words.end(), row.content.begin(), row.content.end());
}

}  // namespace eckart::ngrams
