#pragma once

#include "eckart/ngrams/word.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// Uninitialised memory on huge pages, untouched (and so not resident) until written.
class PoolMemory {
public:
    explicit PoolMemory(std::int64_t bytes);
    std::byte* data() const { return memory_.get(); }
    std::int64_t bytes() const { return bytes_; }
    /// Gives the memory back to the system; what was in it is lost.
    void release();

private:
    struct Unmap {
        std::int64_t bytes;
        void operator()(std::byte* memory) const;
    };
    static std::byte* map(std::int64_t bytes);
    std::int64_t bytes_;
    std::unique_ptr<std::byte, Unmap> memory_;
};

/// Pages of records from one pool of memory. A page holds records of one bucket (a range of partitions):
/// their words, and apart from them a byte each for the partition within the bucket; it is also the message
/// in which records travel between ranks.
template <typename Word>
class PagePool {
public:
    struct Header {
        std::uint32_t bucket;
        std::uint32_t count;
        std::uint64_t unused;
    };
    struct Page {
        Header* header;
        Word* words;
        std::uint8_t* partitions;
    };
    static constexpr std::int64_t record_bytes = sizeof(Word) + 1;

    PagePool(std::int64_t bytes, std::int64_t page_bytes)
        : page_bytes_(page_bytes),
          page_count_(bytes / page_bytes),
          capacity_((page_bytes - static_cast<std::int64_t>(sizeof(Header))) / record_bytes),
          memory_(bytes) {}

    std::int64_t page_bytes() const { return page_bytes_; }
    std::int64_t page_count() const { return page_count_; }
    /// Records a page holds.
    std::int64_t capacity() const { return capacity_; }
    std::int64_t free_pages() const {
        return static_cast<std::int64_t>(returned_.size()) + page_count_ - fresh_;
    }

    /// The number of a free page. Requires `free_pages() > 0`.
    std::int64_t take() {
        if (returned_.empty()) return fresh_++;
        const std::int64_t number = returned_.back();
        returned_.pop_back();
        return number;
    }
    void give(std::int64_t number) { returned_.push_back(number); }
    /// Takes back all pages and gives their memory to the system.
    void reset() {
        returned_.clear();
        fresh_ = 0;
        memory_.release();
    }

    Page page(std::int64_t number) const {
        std::byte* at = memory_.data() + number * page_bytes_;
        return {reinterpret_cast<Header*>(at), reinterpret_cast<Word*>(at + sizeof(Header)),
                reinterpret_cast<std::uint8_t*>(at + sizeof(Header)) +
                    capacity_ * static_cast<std::int64_t>(sizeof(Word))};
    }
    std::span<std::byte> bytes(std::int64_t number) const {
        return {memory_.data() + number * page_bytes_, static_cast<std::size_t>(page_bytes_)};
    }

private:
    std::int64_t page_bytes_;
    std::int64_t page_count_;
    std::int64_t capacity_;
    PoolMemory memory_;
    std::int64_t fresh_ = 0;  // pages never taken begin here
    std::vector<std::int64_t> returned_;
};

}  // namespace eckart::ngrams
