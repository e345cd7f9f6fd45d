#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/matrix/manifest.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace eckart::matrix {

/// As the number of contexts to sample.
inline constexpr std::int64_t all_contexts = 0;

struct MatrixOptions {
    std::filesystem::path directory;
    std::filesystem::path scratch;  ///< directory for spill files, on each rank's node
    int order = 5;
    std::int64_t memory_bytes = 0;  ///< cap of a rank
    std::int64_t min_count = 1;
    std::vector<std::int64_t> samples{all_contexts};  ///< contexts of each matrix to make
    bool keep_contexts = false;                       ///< also write the unmerged rows, with their contexts
    double checkpoint_seconds = 60;
    std::int64_t block_nonzeros = std::int64_t{1} << 20;
    int deflate_level = 0;
};

/// The directory of one of the matrices: the output itself when there is only one.
std::filesystem::path matrix_directory(const MatrixOptions& options, std::int64_t sample);

/// What a rank's memory holds besides records and rows: programs, readers, one-hot rows and columns by token.
std::int64_t fixed_memory(const text::Corpus& corpus);
/// How the rest of its memory is dealt out. Records take most of it; when they are gone, the blocks take
/// theirs.
struct MemoryShares {
    std::int64_t records = 0;
    std::int64_t rows = 0;

    /// Never less than a spill is worth.
    static MemoryShares of(std::int64_t left);
    /// Those in which records take so many bytes before they are spilled.
    static MemoryShares for_records(std::int64_t bytes);
    std::int64_t total() const { return records + rows; }
};

/// What a matrix is made from: two runs with the same recipe make the same matrix. `corpus` is the corpus'
/// recipe.
nlohmann::json matrix_recipe(const nlohmann::json& corpus, const MatrixOptions& options, std::int64_t sample);

/// Text to matrices: counts the n-grams of a prepared corpus once, and for each sample of contexts merges the
/// rows and writes a matrix directory, its manifest last. Continues from a checkpoint when there is one.
/// Collective.
std::vector<Manifest> make_matrices(const mpi::Communicator& comm, const text::Corpus& corpus,
                                    const MatrixOptions& options, const nlohmann::json& corpus_recipe,
                                    const nlohmann::json& provenance, Progress& progress);

}  // namespace eckart::matrix
