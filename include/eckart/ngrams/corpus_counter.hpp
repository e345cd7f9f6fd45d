#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/ngrams/checkpoints.hpp"
#include "eckart/ngrams/counter.hpp"
#include "eckart/text/corpus.hpp"

namespace eckart::ngrams {

/// The shards that a rank reads, numbers into `corpus.shards()`: largest first onto the rank with the least
/// so far.
std::vector<std::int64_t> shards_of(const text::Corpus& corpus, int rank, int ranks);

struct CountingPlan {
    std::int64_t round_tokens = std::int64_t{8} << 20;  ///< after so many, ranks wait for what is on its way
    double checkpoint_seconds = 60;                     ///< at least so long between checkpoints
};

/// Reads the corpus, every rank its shards, and counts its n-grams, from the last checkpoint on if there is
/// one. Checkpoints are made once records had to go to disk anyway; when a stop is asked for, one is made at
/// once and `Interrupted` is thrown. Returns what was read on all ranks. Collective.
text::ReadCounts count_corpus(const mpi::Communicator& comm, const text::Corpus& corpus,
                              NgramCounter& counter, const CountingPlan& plan, Checkpoints& checkpoints,
                              Progress& progress);

/// Reads the beginning of this rank's shards, about `tokens` tokens, into the counter. Returns what was read.
text::ReadCounts count_beginning(const mpi::Communicator& comm, const text::Corpus& corpus,
                                 NgramCounter& counter, std::int64_t tokens);

}  // namespace eckart::ngrams
