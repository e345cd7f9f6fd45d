#pragma once

#include "eckart/base/error.hpp"
#include "eckart/ngrams/spread_sorter.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// How often a record occurs beyond its copies in the list of words beside it. Most n-grams of a large corpus
/// occur once, so counts are kept apart from the words, for the few that need them.
template <typename Word>
struct Extra {
    Word word;
    std::uint64_t count;
};

/// Sorted records of a partition: each word is there once or more, and each extra adds to a word's copies.
template <typename Word>
struct SortedRecords {
    std::span<const Word> words;
    std::span<const Extra<Word>> extras;  ///< ascending, distinct; every word of it is among `words`
};

/// Calls `visit(word, count)` for each distinct record, ascending.
template <typename Word, typename Visit>
void for_each_record(const SortedRecords<Word>& records, Visit visit) {
    const auto& [words, extras] = records;
    std::size_t extra = 0;
    for (std::size_t at = 0; at < words.size();) {
        std::size_t end = at + 1;
        while (end < words.size() && words[end] == words[at]) ++end;
        std::uint64_t count = end - at;
        if (extra < extras.size() && extras[extra].word == words[at]) count += extras[extra++].count;
        visit(words[at], count);
        at = end;
    }
}

/// Gathers counted records of one partition from several sorted runs, within a fixed number of words: when
/// they are full, equal ones are combined.
template <typename Word>
class Tally {
public:
    Tally(SpreadSorter<Word>& sorter, std::span<Word> memory) : sort_(sorter), memory_(memory) {}

    void clear() {
        size_ = 0;
        in_order_ = true;
        extras_.clear();
    }
    /// Adds words and extras as they lie in memory, the words ascending.
    void add(std::span<const std::byte> words, std::span<const std::byte> extras) {
        if (!extras.empty()) {
            const std::size_t before = extras_.size();
            extras_.resize(before + extras.size() / sizeof(Extra<Word>));
            std::memcpy(extras_.data() + before, extras.data(), extras.size());
        }
        while (!words.empty()) {
            if (size_ == memory_.size()) combine();
            const std::size_t now = std::min(memory_.size() - size_, words.size() / sizeof(Word));
            std::memcpy(&memory_[size_], words.data(), now * sizeof(Word));
            in_order_ = in_order_ && (size_ == 0 || !(memory_[size_] < memory_[size_ - 1]));
            size_ += now;
            words = words.subspan(now * sizeof(Word));
        }
    }
    /// All that was added since `clear`. Valid until the next `add`.
    SortedRecords<Word> sorted() {
        bring_in_order();
        return {memory_.first(size_), extras_};
    }

private:
    void bring_in_order() {
        if (!in_order_) sort_(memory_.first(size_));
        in_order_ = true;
        std::sort(extras_.begin(), extras_.end(),
                  [](const Extra<Word>& a, const Extra<Word>& b) { return a.word < b.word; });
        std::size_t kept = 0;
        for (const Extra<Word>& extra : extras_)
            if (kept > 0 && extras_[kept - 1].word == extra.word)
                extras_[kept - 1].count += extra.count;
            else
                extras_[kept++] = extra;
        extras_.resize(kept);
    }
    void combine() {
        bring_in_order();
        std::size_t kept = 0;
        for (std::size_t at = 0; at < size_;) {
            std::size_t end = at + 1;
            while (end < size_ && memory_[end] == memory_[at]) ++end;
            if (end - at > 1) extras_.push_back({memory_[at], end - at - 1});
            memory_[kept++] = memory_[at];
            at = end;
        }
        size_ = kept;
        require(size_ <= memory_.size() / 8 * 7,
                "one partition holds more than {} distinct n-grams: give more --memory", size_);
    }

    SpreadSorter<Word>& sort_;
    std::span<Word> memory_;
    std::size_t size_ = 0;
    bool in_order_ = true;
    std::vector<Extra<Word>> extras_;
};

}  // namespace eckart::ngrams
