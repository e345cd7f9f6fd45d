#pragma once

#include "eckart/base/wide.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

namespace eckart::ngrams {

/// Sorts words ascending, in place; vectorised (Highway's vqsort) for 64 and 128 bits. A call costs a system
/// call (for random pivots): meant for many words.
class WordSorter {
public:
    WordSorter();
    ~WordSorter();
    WordSorter(WordSorter&&) noexcept;

    void operator()(std::span<std::uint64_t> words) const;
    void operator()(std::span<Wide> words) const;
    template <typename Word>
    void operator()(std::span<Word> words) const {
        std::sort(words.begin(), words.end());
    }

private:
    struct Vectorised;
    std::unique_ptr<Vectorised> vectorised_;
};

}  // namespace eckart::ngrams
