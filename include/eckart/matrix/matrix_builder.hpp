#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/matrix/manifest.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/ngrams/row_collector.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace eckart::matrix {

struct BuildOptions {
    std::filesystem::path directory;
    std::vector<std::string> pieces;  ///< text of the tokens by id; may be empty
    std::int64_t block_nonzeros = std::int64_t{1} << 20;
    int deflate_level = 0;
};

/// Merges the rows that the ranks have collected and writes the matrix: columns, blocks and, last, the
/// manifest. `facts` holds what is known already: order, vocabulary, tokenizer, documents, tokens, recipe,
/// provenance, statistics. Blocks are numbered by row hash and their rows lie in lexicographic order, so the
/// files are the same for any number of ranks. Returns the finished manifest. Collective.
Manifest build_matrix(const mpi::Communicator& comm, const BuildOptions& options, Manifest facts,
                      ngrams::RowCollector& rows, ngrams::RowBuckets& buckets, Progress& progress);

}  // namespace eckart::matrix
