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

/// The cap of a rank at which records take so many bytes before they are spilled.
std::int64_t memory_for(std::int64_t records_bytes, std::int64_t vocabulary);

/// What a matrix is made from: two runs with the same recipe make the same matrix. `corpus` is the corpus'
/// recipe.
nlohmann::json matrix_recipe(const nlohmann::json& corpus, const MatrixOptions& options, std::int64_t sample);

/// Text to matrices: counts the n-grams of a prepared corpus once, and for each sample of contexts merges the
/// rows and writes a matrix directory, its manifest last. Continues from a checkpoint when there is one.
/// Collective.
std::vector<Manifest> make_matrices(const mpi::Communicator& comm, const text::Corpus& corpus,
                                    const MatrixOptions& options, const nlohmann::json& corpus_recipe,
                                    const nlohmann::json& provenance, Progress& progress);

/// What making a matrix will take, scaled from a sample.
struct MatrixForecast {
    struct Step {
        std::string name;
        std::string rate;
        double seconds;
    };
    int ranks = 0;
    double sampled_tokens = 0;
    double tokens = 0, ngrams = 0;
    double contexts = 0;       ///< at most: they grow more slowly than the corpus
    double spilled_bytes = 0;  ///< of all ranks
    double exchanged_bytes = 0;
    double matrix_bytes = 0;  ///< at most: rows merge more as the corpus grows
    std::vector<Step> steps;

    double seconds() const {
        double sum = 0;
        for (const Step& step : steps) sum += step.seconds;
        return sum;
    }
    std::string describe() const;
};

/// Counts the beginning of the corpus with every rank, measures each step and the disk, and scales them to
/// the whole corpus on `ranks` ranks with the same memory each. Collective.
MatrixForecast forecast(const mpi::Communicator& comm, const text::Corpus& corpus,
                        const MatrixOptions& options, int ranks, Progress& progress);

}  // namespace eckart::matrix
