#include "eckart/ngrams/row_merger.hpp"

#include "eckart/base/error.hpp"
#include "eckart/ngrams/packing.hpp"

#include <algorithm>
#include <compare>
#include <limits>

namespace eckart::ngrams {

namespace {

/// The beginning of a row's content in 96 bits, so that comparing prefixes never contradicts comparing rows:
/// three successors, then for rows of two their counts, for longer ones the fourth successor or the first
/// count. A missing successor is 0, the others are one more than they are, and a count that does not fit is
/// cut together with all behind it.
Wide prefix(const RowView& row) {
    constexpr int bits = 21;
    static_assert(greatest_vocabulary == std::int64_t{1} << bits);
    const auto successor = [&](std::size_t at) {
        return at < row.size ? std::uint64_t{row.content[at]} + 1 : 0;
    };
    const std::uint64_t leading = (std::uint64_t{row.content[0]} << (2 * bits + 1)) |
                                  (std::uint64_t{row.content[1]} << (bits + 1)) | successor(2);
    constexpr std::uint64_t most16 = 0xffff, most10 = 0x3ff;
    std::uint64_t rest = 0;
    if (row.size > 2)
        rest = (successor(3) << 10) | (row.size == 3 ? std::min(row.count(0), most10) : 0);
    else
        rest = row.count(0) >= most16 ? most16 << 16 : (row.count(0) << 16) | std::min(row.count(1), most16);
    return (Wide{leading} << 32) | rest;
}

bool same_content(const RowView& a, const RowView& b) {
    return a.size == b.size && std::ranges::equal(a.content, b.content);
}

bool before(const RowView& a, const RowView& b) {
    const auto order = std::lexicographical_compare_three_way(a.successors().begin(), a.successors().end(),
                                                              b.successors().begin(), b.successors().end());
    if (order != 0) return order < 0;
    for (std::size_t i = 0; i < a.size; ++i)
        if (a.count(i) != b.count(i)) return a.count(i) < b.count(i);
    return false;
}

}  // namespace

void RowMerger::sort_prefixes(std::span<const std::uint32_t> words) {
    require(words.size() <= std::numeric_limits<std::uint32_t>::max(),
            "{} words of rows are too many to be merged at once", words.size());
    keys_.clear();
    for (RowReader reader(words); !reader.at_end();) {
        const std::size_t place = reader.place();
        keys_.push_back((prefix(reader.next()) << 32) | place);
    }
    sort_(std::span(keys_));
}

void RowMerger::merge_group(std::span<const std::uint32_t> words, std::span<const Wide> keys) {
    group_.clear();
    for (const Wide key : keys) {
        const RowView row = row_at(words, key);
        if (!group_.empty() && same_content(group_.back(), row)) {
            group_.back().multiplicity += row.multiplicity;
            group_.back().weight += row.weight;
        } else {
            group_.push_back(row);
        }
    }
    if (group_.size() == 1) return;
    std::sort(group_.begin(), group_.end(), before);
    std::size_t kept = 0;
    for (const RowView& row : std::span(group_).subspan(1)) {
        if (same_content(group_[kept], row)) {
            group_[kept].multiplicity += row.multiplicity;
            group_[kept].weight += row.weight;
        } else {
            group_[++kept] = row;
        }
    }
    group_.resize(kept + 1);
}

}  // namespace eckart::ngrams
