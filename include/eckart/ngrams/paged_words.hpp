#pragma once

#include "eckart/ngrams/page_pool.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// Streams of 32-bit words that grow side by side in a fixed amount of memory. They grow by pages, so that
/// nothing is copied and nothing is allocated on the way.
class PagedWords {
public:
    PagedWords(std::size_t streams, std::int64_t bytes);

    /// Whether so many words more fit into any stream.
    bool fits(std::size_t words) const { return words / room_ + 1 <= free_pages(); }
    /// Requires that they fit.
    void append(std::size_t stream, std::span<const std::uint32_t> words);
    /// Moves the words of a stream to the end of `to`.
    void take(std::size_t stream, std::vector<std::uint32_t>& to);

private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    struct Stream {
        std::uint32_t first = none, last = none;
        std::uint32_t* next = nullptr;  // word to write, in the last page
        std::size_t left = 0;           // words from there to the page's end
    };
    std::size_t free_pages() const { return returned_.size() + pages_ - fresh_; }
    /// The first word of a page is the number of the page that follows it in its stream.
    std::uint32_t* page(std::uint32_t number) const {
        return reinterpret_cast<std::uint32_t*>(memory_.data()) + number * (room_ + 1);
    }
    void extend(Stream& stream);

    PoolMemory memory_;
    std::size_t room_;  // words in a page but for the first
    std::size_t pages_;
    std::size_t fresh_ = 0;  // pages never used begin here
    std::vector<std::uint32_t> returned_;
    std::vector<Stream> streams_;
};

}  // namespace eckart::ngrams
