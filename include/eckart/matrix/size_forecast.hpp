#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/matrix/make_matrix.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/corpus.hpp"

#include <nlohmann/json.hpp>

namespace eckart::matrix {

/// The sizes of a matrix to come, for a plan of the stages after it.
struct SizeForecast {
    double sampled_tokens = 0;
    double tokens_per_second = 0;  ///< of a rank, counted and merged in memory
    double tokens = 0, ngrams = 0, contexts = 0, columns = 0;
    double merged_rows = 0, merged_nonzeros = 0;  ///< one-hot rows included
    double one_hot_rows = 0;
    double pairs = 0;  ///< sum over merged rows of non-zeros squared: the work of the cross product
    double matrix_bytes = 0;
    double record_bytes = 0;        ///< of an n-gram
    double least_memory_bytes = 0;  ///< of a rank
};
nlohmann::json to_json(const SizeForecast& forecast);

/// Counts the beginning of a prepared corpus with every rank. What grows by a power of the corpus' size is
/// carried on by the power seen between a quarter of the sample and all of it; a corpus no larger than the
/// sample is counted whole. Collective.
SizeForecast forecast_sizes(const mpi::Communicator& comm, const text::Corpus& corpus,
                            const MatrixOptions& options, Progress& progress);

}  // namespace eckart::matrix
