#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <string>

namespace eckart::text {

enum class TokenFormat { megatron, flat };

/// What `write_tokens` left.
struct WrittenTokens {
    ReadCounts counts;
    std::string type;  ///< uint16 where the vocabulary is below 65,500, else int32
};

/// Tokenises a text corpus once and for all: ids to `path` (NAME.bin) and, as Megatron has it, the documents
/// to NAME.idx beside it, a sequence each; documents without a token are left out. The bytes are those that
/// Megatron's own tool writes, and do not depend on the number of ranks. Requires `prepare`. Collective.
/// Throws `UsageError` for token files, and for a flat file in which documents would run together.
WrittenTokens write_tokens(const mpi::Communicator& comm, const Corpus& corpus, const std::string& path,
                           TokenFormat format, Progress& progress);

}  // namespace eckart::text
