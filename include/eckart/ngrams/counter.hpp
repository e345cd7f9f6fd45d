#pragma once

#include "eckart/mpi/communicator.hpp"
#include "eckart/ngrams/row_collector.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace eckart::ngrams {

struct CounterOptions {
    int order = 5;
    std::int64_t vocabulary = 0;
    std::uint64_t min_count = 1;
    std::int64_t memory_bytes = 0;  ///< for records, per rank
    std::filesystem::path scratch;  ///< directory of this rank's spill files
};

struct CounterStatistics {
    std::int64_t records = 0;   ///< n-grams cut on this rank
    std::int64_t received = 0;  ///< n-grams this rank is the owner of
    std::int64_t sent_bytes = 0;
    std::int64_t spilled_bytes = 0;
    std::int64_t spilled_records = 0;
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
    /// Waits until every n-gram added on any rank is with its owner; true when all ranks are `finished`.
    /// Collective: ranks that have no more documents go on taking part.
    virtual bool exchange(bool finished) = 0;
    /// Gives each context of this rank's partitions to `sink`, with its successors in order. Requires
    /// `exchange` after the last `add`; may be repeated.
    virtual void for_each_context(RowCollector& sink) = 0;
    /// Frees the records.
    virtual void release() = 0;
    virtual CounterStatistics statistics() const = 0;
};

}  // namespace eckart::ngrams
