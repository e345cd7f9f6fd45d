#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/ngrams/counter.hpp"
#include "eckart/text/corpus.hpp"

namespace eckart::ngrams {

/// The shards that a rank reads, numbers into `corpus.shards()`: largest first onto the rank with the least
/// so far.
std::vector<std::int64_t> shards_of(const text::Corpus& corpus, int rank, int ranks);

/// Reads the corpus, every rank its shards, and counts its n-grams. In rounds: after each `round_tokens` the
/// ranks wait for what is on its way. Returns what was read on all ranks. Collective.
text::ReadCounts count_corpus(const mpi::Communicator& comm, const text::Corpus& corpus,
                              NgramCounter& counter, std::int64_t round_tokens, Progress& progress);

}  // namespace eckart::ngrams
