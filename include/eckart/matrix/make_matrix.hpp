#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/matrix/manifest.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <filesystem>

namespace eckart::matrix {

struct MatrixOptions {
    std::filesystem::path directory;
    std::filesystem::path scratch;  ///< directory for spill files, on each rank's node
    int order = 5;
    std::int64_t memory_bytes = 0;  ///< cap of a rank
    std::int64_t min_count = 1;
    std::int64_t block_nonzeros = std::int64_t{1} << 20;
    int deflate_level = 0;
};

/// What the matrix is made from: two runs with the same recipe make the same matrix.
nlohmann::json matrix_recipe(const text::Corpus& corpus, const MatrixOptions& options);

/// Text to matrix: counts the n-grams of a prepared corpus, merges the rows and writes the matrix directory,
/// its manifest last. Collective.
Manifest make_matrix(const mpi::Communicator& comm, const text::Corpus& corpus, const MatrixOptions& options,
                     const nlohmann::json& recipe, const nlohmann::json& provenance, Progress& progress);

}  // namespace eckart::matrix
