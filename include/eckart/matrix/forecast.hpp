#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/matrix/make_matrix.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace eckart::matrix {

/// What making a matrix will take and how large it will be, carried on from a sample of the corpus.
struct Forecast {
    double sampled_tokens = 0;
    double tokens = 0, ngrams = 0, contexts = 0, columns = 0;
    double merged_rows = 0, merged_nonzeros = 0;  ///< one-hot rows included
    double one_hot_rows = 0;
    double pairs = 0;         ///< sum over merged rows of non-zeros squared: the work of the cross product
    double record_bytes = 0;  ///< of an n-gram while it is counted
    double row_bytes = 0;     ///< of all rows before they are merged
    double matrix_bytes = 0;
    double fixed_bytes = 0;    ///< of a rank's memory: all but records and rows
    double counting_rate = 0;  ///< tokens a rank reads, cuts and exchanges in a second
    double cutting_rate = 0;   ///< tokens whose records a rank sorts and cuts into rows in a second
    double merging_rate = 0;   ///< tokens whose rows a rank merges in a second
    double disk_rate = 0;      ///< bytes a rank writes to scratch in a second, synced, while all do

    /// Bytes of all ranks in scratch, where each may hold `memory` bytes.
    double spilled_bytes(int ranks, std::int64_t memory) const;
    /// Bytes of records a rank holds at most.
    double held_bytes(int ranks, std::int64_t memory) const;
    double seconds(int ranks, std::int64_t memory) const;
    /// A table for people: sizes, and each step with its rate.
    std::string describe(int ranks, std::int64_t memory) const;

private:
    struct Step;
    std::vector<Step> steps(int ranks, std::int64_t memory) const;
    bool records_spill(int ranks, std::int64_t memory) const;
};
nlohmann::json to_json(const Forecast& forecast);
/// Throws `nlohmann::json::exception` when a number is missing.
Forecast forecast_from(const nlohmann::json& json);

/// Counts the beginning of a prepared corpus with every rank and times each step and the disk. What grows by
/// a power of the corpus' size is carried on by the power seen between a quarter of the sample and all of it;
/// a corpus no larger than the sample is counted whole. Collective.
Forecast forecast(const mpi::Communicator& comm, const text::Corpus& corpus, const MatrixOptions& options,
                  Progress& progress);

}  // namespace eckart::matrix
