#include "eckart/ngrams/corpus_counter.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace eckart::ngrams {

namespace {

using Clock = std::chrono::steady_clock;

nlohmann::json to_json(const text::ReadCounts& counts) {
    return {counts.documents, counts.tokens, counts.expected_ngrams, counts.skipped, counts.bytes};
}
text::ReadCounts counts_from_json(const nlohmann::json& json) {
    return {.documents = json.at(0),
            .tokens = json.at(1),
            .expected_ngrams = json.at(2),
            .skipped = json.at(3),
            .bytes = json.at(4)};
}

/// A rank's way through its shards, chunk by chunk.
class Reading {
public:
    Reading(const text::Corpus& corpus, std::vector<std::int64_t> shards)
        : corpus_(corpus), shards_(std::move(shards)) {}

    /// Reads about `tokens` tokens into the counter; false when nothing is left.
    bool read(NgramCounter& counter, std::int64_t tokens) {
        text::TokenChunk chunk;
        while (tokens > 0) {
            if (!source_ && !open_shard()) return false;
            if (source_->next(chunk)) {
                counter.add(chunk.tokens);
                tokens -= static_cast<std::int64_t>(chunk.tokens.size());
                ++chunks_;
            } else {
                counts_ += source_->counts();
                source_.reset();
                ++shard_;
                chunks_ = 0;
            }
        }
        return true;
    }
    text::ReadCounts counts() const {
        text::ReadCounts result = counts_;
        if (source_) result += source_->counts();
        return result;
    }

    nlohmann::json position() const {
        return {{"shard", shard_}, {"chunks", chunks_}, {"counts", to_json(counts_)}};
    }
    /// Goes to a position: chunks of the shard that were counted are read again and passed over.
    void resume(const nlohmann::json& position) {
        shard_ = position.at("shard");
        counts_ = counts_from_json(position.at("counts"));
        if (!open_shard()) return;
        chunks_ = position.at("chunks");
        text::TokenChunk chunk;
        for (std::int64_t i = 0; i < chunks_; ++i)
            require(source_->next(chunk),
                    "the corpus is not the one that the checkpoint was made from: shard {} is shorter",
                    shard_);
    }

private:
    bool open_shard() {
        if (shard_ == shards_.size()) return false;
        source_ = corpus_.read(corpus_.shards()[static_cast<std::size_t>(shards_[shard_])]);
        return true;
    }

    const text::Corpus& corpus_;
    std::vector<std::int64_t> shards_;
    std::size_t shard_ = 0;    // the one being read, or next
    std::int64_t chunks_ = 0;  // of it that have been counted
    std::unique_ptr<text::TokenSource> source_;
    text::ReadCounts counts_;  // of the shards that are done
};

/// What the ranks decide together after a round.
struct Decision {
    bool more = false;
    bool spilled = false;
    bool interrupted = false;
    bool due = false;
};
Decision decide(const mpi::Communicator& comm, const Decision& mine) {
    std::int32_t flags[] = {mine.more, mine.spilled, mine.interrupted, mine.due};
    mpi::all_max(comm, std::span<std::int32_t>(flags));
    return {
        .more = flags[0] != 0, .spilled = flags[1] != 0, .interrupted = flags[2] != 0, .due = flags[3] != 0};
}

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
                              NgramCounter& counter, const CountingPlan& plan, Checkpoints& checkpoints,
                              Progress& progress) {
    Reading reading(corpus, shards_of(corpus, comm.rank(), comm.size()));
    if (const auto state = checkpoints.load()) {
        mpi::agree(comm, [&] {
            counter.resume(state->at("counter"));
            reading.resume(state->at("reading"));
        });
        progress.note("continuing from the checkpoint");
    }
    progress.begin("counting", corpus.bytes(), "bytes");
    auto last = Clock::now();
    for (bool more = true; more;) {
        more = reading.read(counter, plan.round_tokens);
        counter.exchange();
        const std::chrono::duration<double> since = Clock::now() - last;
        const Decision decision = decide(comm, {.more = more,
                                                .spilled = counter.has_spilled(),
                                                .interrupted = interrupt_requested(),
                                                .due = since.count() >= plan.checkpoint_seconds});
        more = decision.more;
        if (decision.interrupted || (decision.spilled && decision.due)) {
            checkpoints.save({{"counter", counter.checkpoint()}, {"reading", reading.position()}});
            last = Clock::now();
        }
        progress.update(mpi::all_sum(comm, reading.counts().bytes));
        if (decision.interrupted) mpi::stop_if_interrupted(comm, "what was counted is safe");
    }
    progress.end();
    return sum(comm, reading.counts());
}

text::ReadCounts count_beginning(const mpi::Communicator& comm, const text::Corpus& corpus,
                                 NgramCounter& counter, std::int64_t tokens) {
    Reading reading(corpus, shards_of(corpus, comm.rank(), comm.size()));
    reading.read(counter, tokens);
    return reading.counts();
}

}  // namespace eckart::ngrams
