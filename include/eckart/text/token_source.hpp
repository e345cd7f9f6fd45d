#pragma once

#include "eckart/text/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace eckart::text {

/// Consecutive tokens of one document. Every n-gram of a chunk is an n-gram of the corpus, and every n-gram
/// of the corpus lies in exactly one chunk: a chunk in the middle of a document begins with the `lead_in`
/// last tokens of what went before (at most order - 1), which belong to the shard before this one.
struct TokenChunk {
    std::span<const TokenId> tokens;
    bool starts_document = true;
    std::int64_t lead_in = 0;
};

/// What was read: documents that start and tokens that lie in the shards read so far, the n-grams their
/// lengths imply, and what `--on-error skip` left out.
struct ReadCounts {
    std::int64_t documents = 0;
    std::int64_t tokens = 0;
    std::int64_t expected_ngrams = 0;
    std::int64_t skipped = 0;
    std::int64_t bytes = 0;

    ReadCounts& operator+=(const ReadCounts& other);
};

/// The tokens of one shard, chunk by chunk.
class TokenSource {
public:
    virtual ~TokenSource() = default;
    /// The next chunk, valid until the next call; false at the end. Throws `Error` naming file, line or
    /// offset.
    virtual bool next(TokenChunk& chunk) = 0;
    /// Counts over what `next` has returned so far; `bytes` is the position within the shard.
    const ReadCounts& counts() const { return counts_; }

protected:
    ReadCounts counts_;
};

}  // namespace eckart::text
