#pragma once

#include "eckart/ngrams/page_pool.hpp"
#include "eckart/ngrams/spread_sorter.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace eckart::ngrams {

/// Brings the records of a bucket into order: grouped by partition, then each group sorted while it is in
/// cache.
template <typename Word>
class PartitionSorter {
public:
    /// Partitions of one bucket, at most.
    static constexpr std::size_t partitions = 256;

    explicit PartitionSorter(std::int64_t capacity)
        : capacity_(static_cast<std::size_t>(capacity)),
          words_(std::make_unique_for_overwrite<Word[]>(capacity_)) {}

    std::int64_t capacity() const { return static_cast<std::int64_t>(capacity_); }
    std::span<Word> memory() { return {words_.get(), capacity_}; }
    SpreadSorter<Word>& sorter() { return order_; }

    /// Frees its memory; nothing may be grouped any more.
    void release() {
        capacity_ = 0;
        words_.reset();
    }

    /// Groups the records of some pages. Requires room for them.
    void gather(const PagePool<Word>& pool, std::span<const std::int64_t> pages) {
        std::array<std::size_t, partitions> at{};
        for (const std::int64_t number : pages) {
            const auto page = pool.page(number);
            for (std::uint32_t i = 0; i < page.header->count; ++i) ++at[page.partitions[i]];
        }
        std::size_t sum = 0;
        for (std::size_t p = 0; p < partitions; ++p) {
            begin_[p] = sum;
            sum += at[p];
            at[p] = begin_[p];
        }
        begin_[partitions] = sum;
        for (const std::int64_t number : pages) {
            const auto page = pool.page(number);
            for (std::uint32_t i = 0; i < page.header->count; ++i)
                words_[at[page.partitions[i]]++] = page.words[i];
        }
    }
    /// The records of one partition of the bucket, sorted now.
    std::span<const Word> sorted(std::size_t partition) {
        const std::span<Word> group =
            memory().subspan(begin_[partition], begin_[partition + 1] - begin_[partition]);
        order_(group);
        return group;
    }

private:
    std::size_t capacity_;
    std::unique_ptr<Word[]> words_;
    std::array<std::size_t, partitions + 1> begin_{};
    SpreadSorter<Word> order_;
};

}  // namespace eckart::ngrams
