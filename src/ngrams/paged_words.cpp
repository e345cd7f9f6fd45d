#include "eckart/ngrams/paged_words.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace eckart::ngrams {

namespace {

/// The streams' last pages are half empty: together they may waste an eighth of the memory.
std::size_t page_words(std::size_t streams, std::int64_t bytes) {
    constexpr std::size_t least = 32, most = std::size_t{1} << 14;
    const std::size_t words = static_cast<std::size_t>(bytes) / sizeof(std::uint32_t);
    return std::clamp(std::bit_floor(words / 4 / streams + 1), least, most);
}

}  // namespace

PagedWords::PagedWords(std::size_t streams, std::int64_t bytes)
    : memory_(bytes),
      room_(page_words(streams, bytes) - 1),
      pages_(std::min<std::size_t>(none,
                                   static_cast<std::size_t>(bytes) / sizeof(std::uint32_t) / (room_ + 1))) {
    streams_.resize(streams);
}

void PagedWords::extend(Stream& stream) {
    std::uint32_t number = 0;
    if (returned_.empty()) {
        number = static_cast<std::uint32_t>(fresh_++);
    } else {
        number = returned_.back();
        returned_.pop_back();
    }
    if (stream.first == none)
        stream.first = number;
    else
        *page(stream.last) = number;
    stream.last = number;
    stream.next = page(number) + 1;
    stream.left = room_;
}

void PagedWords::append(std::size_t stream, std::span<const std::uint32_t> words) {
    Stream& to = streams_[stream];
    while (!words.empty()) {
        if (to.left == 0) extend(to);
        const std::size_t now = std::min(to.left, words.size());
        std::memcpy(to.next, words.data(), now * sizeof(std::uint32_t));
        to.next += now;
        to.left -= now;
        words = words.subspan(now);
    }
}

void PagedWords::take(std::size_t stream, std::vector<std::uint32_t>& to) {
    const Stream from = std::exchange(streams_[stream], {});
    for (std::uint32_t number = from.first; number != none;) {
        const std::uint32_t* const words = page(number) + 1;
        to.insert(to.end(), words, number == from.last ? from.next : words + room_);
        returned_.push_back(number);
        number = number == from.last ? none : *page(number);
    }
}

}  // namespace eckart::ngrams
