#pragma once

#include "eckart/ngrams/packing.hpp"
#include "eckart/ngrams/tally.hpp"

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace eckart::ngrams {

/// What is done with the contexts of a corpus, one after another: with its successors (ascending) and their
/// counts. A context of one successor, by far the most common, comes through `one_hot`.
template <typename Sink>
concept ContextSink = requires(Sink sink, std::uint32_t successor, std::uint64_t count,
                               std::span<const std::uint32_t> successors,
                               std::span<const std::uint64_t> counts) {
    sink.one_hot(successor, count);
    sink.row(successors, counts);
};

/// A sink that is told, before each of these, a record of the context.
template <typename Sink, typename Word>
concept ContextObserver = requires(Sink sink, const Word& record) {
    sink.context(record);
};

/// Cuts the sorted records of a partition into contexts. N-grams that occur less than `min_count` times are
/// left out, and contexts of which nothing is left.
template <typename Word>
class ContextScanner {
public:
    ContextScanner(const Packing<Word>& packing, std::uint64_t min_count)
        : packing_(packing), min_count_(min_count) {}

    template <ContextSink Sink>
    void scan(const SortedRecords<Word>& records, Sink& sink) {
        const auto& [words, extras] = records;
        std::size_t extra = 0;
        const auto count_from = [&](std::size_t at, std::size_t end) {
            std::uint64_t count = end - at;
            if (extra < extras.size() && extras[extra].word == words[at]) count += extras[extra++].count;
            return count;
        };
        for (std::size_t at = 0; at < words.size();) {
            const Word context = packing_.context_part(words[at]);
            std::size_t end = at + 1;
            if (end == words.size() || packing_.context_part(words[end]) != context) {
                const std::uint64_t count = count_from(at, end);
                if (count >= min_count_) {
                    observe(sink, words[at]);
                    sink.one_hot(packing_.successor(words[at]), count);
                }
                at = end;
                continue;
            }
            const Word& record = words[at];
            successors_.clear();
            counts_.clear();
            do {
                while (end < words.size() && words[end] == words[at]) ++end;
                const std::uint64_t count = count_from(at, end);
                if (count >= min_count_) {
                    successors_.push_back(packing_.successor(words[at]));
                    counts_.push_back(count);
                }
                at = end++;
            } while (at < words.size() && packing_.context_part(words[at]) == context);
            if (!successors_.empty()) observe(sink, record);
            if (successors_.size() == 1)
                sink.one_hot(successors_[0], counts_[0]);
            else if (!successors_.empty())
                sink.row(successors_, counts_);
        }
    }

    /// Frees what the longest row took.
    void release() {
        std::exchange(successors_, {});
        std::exchange(counts_, {});
    }

private:
    template <typename Sink>
    static void observe(Sink& sink, const Word& record) {
        if constexpr (ContextObserver<Sink, Word>) sink.context(record);
    }

    Packing<Word> packing_;
    std::uint64_t min_count_;
    std::vector<std::uint32_t> successors_;
    std::vector<std::uint64_t> counts_;
};

}  // namespace eckart::ngrams
