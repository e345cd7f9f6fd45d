#include "eckart/ngrams/corpus_counter.hpp"

#include "eckart/base/error.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <numeric>

namespace eckart::ngrams {

namespace {

/// A rank's way through its shards, chunk by chunk.
class Reading {
public:
    Reading(const text::Corpus& corpus, std::vector<std::int64_t> shards)
        : corpus_(corpus), shards_(std::move(shards)) {}

    /// Reads about `tokens` tokens into the counter; false when nothing is left.
    bool read(NgramCounter& counter, std::int64_t tokens) {
        text::TokenChunk chunk;
        while (tokens > 0) {
            if (!source_) {
                if (next_ == shards_.size()) return false;
                source_ = corpus_.read(corpus_.shards()[static_cast<std::size_t>(shards_[next_++])]);
            }
            if (source_->next(chunk)) {
                counter.add(chunk.tokens);
                tokens -= static_cast<std::int64_t>(chunk.tokens.size());
            } else {
                counts_ += source_->counts();
                source_.reset();
            }
        }
        return true;
    }
    text::ReadCounts counts() const {
        text::ReadCounts result = counts_;
        if (source_) result += source_->counts();
        return result;
    }

private:
    const text::Corpus& corpus_;
    std::vector<std::int64_t> shards_;
    std::size_t next_ = 0;
    std::unique_ptr<text::TokenSource> source_;
    text::ReadCounts counts_;  // of the shards that are done
};

text::ReadCounts sum(const mpi::Communicator& comm, const text::ReadCounts& mine) {
    std::int64_t numbers[] = {mine.documents, mine.tokens, mine.expected_ngrams, mine.skipped, mine.bytes};
    mpi::all_sum(comm, std::span<std::int64_t>(numbers));
    return {.documents = numbers[0],
            .tokens = numbers[1],
            .expected_ngrams = numbers[2],
            .skipped = numbers[3],
            .bytes = numbers[4]};
}

}  // namespace

std::vector<std::int64_t> shards_of(const text::Corpus& corpus, int rank, int ranks) {
    const auto& shards = corpus.shards();
    std::vector<std::int64_t> order(shards.size()), mine;
    std::iota(order.begin(), order.end(), 0);
    const auto bytes = [&](std::int64_t number) { return shards[static_cast<std::size_t>(number)].bytes(); };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return bytes(a) > bytes(b); });
    std::vector<std::int64_t> load(static_cast<std::size_t>(ranks));
    for (const std::int64_t number : order) {
        const auto least = std::min_element(load.begin(), load.end());
        *least += bytes(number);
        if (least - load.begin() == rank) mine.push_back(number);
    }
    return mine;
}

text::ReadCounts count_corpus(const mpi::Communicator& comm, const text::Corpus& corpus,
                              NgramCounter& counter, std::int64_t round_tokens, Progress& progress) {
    Reading reading(corpus, shards_of(corpus, comm.rank(), comm.size()));
    progress.begin("counting", corpus.bytes(), "bytes");
    bool finished = false;
    while (!finished) {
        const bool more = reading.read(counter, round_tokens);
        finished = counter.exchange(!more);
        progress.update(mpi::all_sum(comm, reading.counts().bytes));
    }
    progress.end();
    return sum(comm, reading.counts());
}

}  // namespace eckart::ngrams
