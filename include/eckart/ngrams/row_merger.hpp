#pragma once

#include "eckart/base/wide.hpp"
#include "eckart/ngrams/row_code.hpp"
#include "eckart/ngrams/sort.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// Merges equal rows: one row with the sums of their multiplicities and weights. Sorting brings them
/// together: a 96-bit prefix of each row's content, beside its place, goes through the vectorised sorter, and
/// only rows that agree in it are compared in full.
class RowMerger {
public:
    /// Calls `visit(row)` for each distinct row of `words` in order: by successors, lexicographically, then
    /// by counts.
    template <typename Visit>
    void merge(std::span<const std::uint32_t> words, Visit visit) {
        sort_prefixes(words);
        constexpr std::size_t ahead = 16;  // rows lie anywhere in memory: they are asked for in time
        for (std::size_t begin = 0, end = 0; begin < keys_.size(); begin = end) {
            if (begin + ahead < keys_.size()) __builtin_prefetch(&words[place_of(keys_[begin + ahead])]);
            for (end = begin + 1; end < keys_.size() && keys_[end] >> 32 == keys_[begin] >> 32;) ++end;
            if (end == begin + 1) {
                visit(row_at(words, keys_[begin]));
            } else {
                merge_group(words, std::span(keys_).subspan(begin, end - begin));
                for (const RowView& row : group_) visit(row);
            }
        }
    }

private:
    static std::size_t place_of(Wide key) { return static_cast<std::uint32_t>(key); }
    static RowView row_at(std::span<const std::uint32_t> words, Wide key) {
        return RowReader(words.subspan(place_of(key))).next();
    }
    void sort_prefixes(std::span<const std::uint32_t> words);
    void merge_group(std::span<const std::uint32_t> words, std::span<const Wide> keys);

    WordSorter sort_;
    std::vector<Wide> keys_;      // prefix, then the place among the words
    std::vector<RowView> group_;  // distinct rows of one prefix
};

}  // namespace eckart::ngrams
