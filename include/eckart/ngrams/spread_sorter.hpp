#pragma once

#include "eckart/ngrams/sort.hpp"
#include "eckart/ngrams/word.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace eckart::ngrams {

/// Sorts words whose leading bits are those of a hash, and so spread evenly: one pass brings each to its
/// place but for a neighbour or two, insertion does the rest. About 2 n reads and writes within the cache;
/// where many words share their leading bits, those take n log n.
template <typename Word>
class SpreadSorter {
public:
    void operator()(std::span<Word> words) {
        if (words.size() > most) return sort_(words);
        if (words.size() > few) spread(words);
        insert(words);
    }

private:
    static constexpr std::size_t few = 24, most = std::size_t{1} << 16;

    static std::size_t bin(const Word& word, int bits) {
        return static_cast<std::size_t>(static_cast<std::uint64_t>(word >> (word_bits<Word> - bits)));
    }

    /// Orders the words by so many leading bits that a bin holds one or two, and crowded bins whole.
    void spread(std::span<Word> words) {
        const int bits = static_cast<int>(std::bit_width(words.size())) - 1;
        ends_.assign(std::size_t{1} << bits, 0);
        for (const Word& word : words) ++ends_[bin(word, bits)];
        std::uint32_t sum = 0, largest = 0;
        for (std::uint32_t& end : ends_) {
            largest = std::max(largest, end);
            sum += std::exchange(end, sum);
        }
        scratch_.assign(words.begin(), words.end());
        for (const Word& word : scratch_) words[ends_[bin(word, bits)]++] = word;
        if (largest <= few) return;
        std::uint32_t begin = 0;
        for (const std::uint32_t end : ends_) {
            if (end - begin > few) sort_(words.subspan(begin, end - begin));
            begin = end;
        }
    }
    static void insert(std::span<Word> words) {
        for (std::size_t i = 1; i < words.size(); ++i) {
            const Word word = words[i];
            std::size_t at = i;
            for (; at > 0 && word < words[at - 1]; --at) words[at] = words[at - 1];
            words[at] = word;
        }
    }

    WordSorter sort_;
    std::vector<std::uint32_t> ends_;  // of bins
    std::vector<Word> scratch_;
};

}  // namespace eckart::ngrams
