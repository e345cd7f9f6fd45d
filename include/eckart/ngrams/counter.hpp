#pragma once

#include "eckart/mpi/communicator.hpp"
#include "eckart/ngrams/row_collector.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include <nlohmann/json.hpp>

namespace eckart::ngrams {

/// Runs that are read back at once, a segment of each in memory; more are merged in several passes.
inline constexpr std::size_t most_runs = 64;
inline constexpr std::int64_t merge_bytes = static_cast<std::int64_t>(most_runs) << 17;

struct CounterOptions {
    int order = 5;
    std::int64_t vocabulary = 0;
    std::uint64_t min_count = 1;
    std::int64_t memory_bytes = 0;        ///< for records, per rank
    std::filesystem::path scratch;        ///< directory of this rank's spill files
    std::size_t merge_width = most_runs;  ///< lowered by tests
};

struct CounterStatistics {
    std::int64_t records = 0;   ///< n-grams cut on this rank
    std::int64_t received = 0;  ///< n-grams this rank is the owner of
    std::int64_t sent_bytes = 0;
    std::int64_t spilled_bytes = 0;
    std::int64_t spilled_records = 0;
};

/// Where a context stands in the order in which samples are drawn: by a hash of the context, then partition.
struct SamplePlace {
    std::uint64_t hash = 0;
    std::int64_t partition = 0;
    friend auto operator<=>(const SamplePlace&, const SamplePlace&) = default;
};
inline constexpr SamplePlace whole_corpus{.hash = ~std::uint64_t{0}, .partition = 0};

/// Is shown contexts, one after another, with their successors and counts.
class ContextVisitor {
public:
    virtual ~ContextVisitor() = default;
    virtual void visit(std::span<const std::uint32_t> context, std::span<const std::uint32_t> successors,
                       std::span<const std::uint64_t> counts) = 0;
};

/// Counts the n-grams of a corpus: every rank adds the documents it reads, each n-gram travels to the rank
/// that owns its context's partition, and there they are sorted, in memory or, beyond the cap, through a
/// scratch file.
class NgramCounter {
public:
    /// Chooses the narrowest records that hold the n-grams. Collective.
    static std::unique_ptr<NgramCounter> make(const mpi::Communicator& comm, const CounterOptions& options);
    virtual ~NgramCounter() = default;

    /// Adds the n-grams of consecutive tokens. Requires each token to be below the vocabulary's size.
    virtual void add(std::span<const std::uint32_t> tokens) = 0;
    /// Waits until every n-gram added on any rank is with its owner. Collective: ranks that have no more
    /// documents go on taking part.
    virtual void exchange() = 0;

    /// Whether a part of the records is on disk only since the last `checkpoint` (or at all).
    virtual bool has_spilled() const = 0;
    /// Writes all records out, durably, and returns what `resume` needs to continue from there. Requires
    /// `exchange` just before.
    virtual nlohmann::json checkpoint() = 0;
    /// Continues from a checkpoint of a counter with the same options and ranks. Throws `Error` when the
    /// scratch file is not there or shorter than it was.
    virtual void resume(const nlohmann::json& state) = 0;

    /// The place before which exactly `contexts` contexts stand; `whole_corpus` when there are no more. A
    /// larger sample holds every smaller one. Requires `exchange` after the last `add`. Collective.
    virtual SamplePlace sample_end(std::int64_t contexts) = 0;
    /// Gives each context of this rank's partitions that stands before `end` to `sink`, with its successors
    /// in order. Requires `exchange` after the last `add`; may be repeated.
    virtual void for_each_context(RowCollector& sink, const SamplePlace& end) = 0;
    /// The same with the tokens of each context; slower.
    virtual void show_contexts(ContextVisitor& visitor, const SamplePlace& end) = 0;
    /// Frees the records.
    virtual void release() = 0;
    virtual CounterStatistics statistics() const = 0;
    /// Bytes of a record in memory; about as many on disk.
    virtual std::int64_t record_bytes() const = 0;
};

}  // namespace eckart::ngrams
