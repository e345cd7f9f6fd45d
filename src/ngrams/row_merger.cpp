#include "eckart/ngrams/row_merger.hpp"

#include "eckart/base/error.hpp"
#include "eckart/ngrams/packing.hpp"
#include "eckart/ngrams/sort.hpp"

#include <algorithm>
#include <compare>

namespace eckart::ngrams {

namespace {

constexpr std::size_t first_slots = 1024;

bool same_content(const RowView& a, const RowView& b) {
    return a.size == b.size && std::ranges::equal(a.content, b.content);
}

/// The three leading successors in 64 bits, so that comparing them compares the rows' beginnings.
std::uint64_t leading(const RowView& row) {
    constexpr int bits = 21;
    static_assert(greatest_vocabulary == std::int64_t{1} << bits);
    const std::uint64_t third = row.size > 2 ? std::uint64_t{row.content[2]} + 1 : 0;
    return (std::uint64_t{row.content[0]} << (2 * bits + 1)) | (std::uint64_t{row.content[1]} << (bits + 1)) |
           third;
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

RowMerger::RowMerger(std::span<const std::uint32_t> words) : slots_(first_slots) {
    for (RowReader reader(words); !reader.at_end();) {
        const RowView row = reader.next();
        const std::uint64_t hash = row.hash();
        std::size_t slot = hash & (slots_.size() - 1);
        while (slots_[slot] != 0) {
            const std::size_t number = slots_[slot] - 1;
            if (hashes_[number] == hash && same_content(rows_[number], row)) {
                rows_[number].multiplicity += row.multiplicity;
                rows_[number].weight += row.weight;
                break;
            }
            slot = (slot + 1) & (slots_.size() - 1);
        }
        if (slots_[slot] != 0) continue;
        rows_.push_back(row);
        hashes_.push_back(hash);
        slots_[slot] = narrow<std::uint32_t>(rows_.size());
        if (2 * rows_.size() > slots_.size()) grow();
    }
}

void RowMerger::grow() {
    slots_.assign(4 * slots_.size(), 0);
    for (std::size_t number = 0; number < hashes_.size(); ++number) {
        std::size_t slot = hashes_[number] & (slots_.size() - 1);
        while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
        slots_[slot] = static_cast<std::uint32_t>(number + 1);
    }
}

void RowMerger::sort() {
    std::vector<Wide> keys(rows_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) keys[i] = (Wide{leading(rows_[i])} << 64) | i;
    WordSorter()(std::span(keys));
    std::vector<RowView> sorted;
    sorted.reserve(rows_.size());
    for (std::size_t begin = 0; begin < keys.size();) {
        std::size_t end = begin;
        for (; end < keys.size() && keys[end] >> 64 == keys[begin] >> 64; ++end)
            sorted.push_back(rows_[static_cast<std::uint64_t>(keys[end])]);
        std::sort(sorted.begin() + static_cast<std::ptrdiff_t>(begin), sorted.end(), before);
        begin = end;
    }
    rows_ = std::move(sorted);
    hashes_.clear();
    slots_.clear();
}

std::vector<std::uint32_t> merged(std::span<const std::uint32_t> words) {
    const RowMerger merger(words);
    std::vector<std::uint32_t> result;
    for (const RowView& row : merger.rows()) append_row(result, row);
    return result;
}

}  // namespace eckart::ngrams
