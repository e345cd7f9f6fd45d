#pragma once

#include "eckart/base/memory_plan.hpp"
#include "eckart/base/progress.hpp"
#include "eckart/dense/eigenvalues.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/svd/spectrum.hpp"

#include <filesystem>

namespace eckart::svd {

/// Of G's entries and the reduction to a band; what follows is double either way. Single takes half the
/// memory and half the time, and its floor is 2e4 times higher.
enum class Precision { single_, double_ };

struct GramOptions {
    matrix::RowWeight weight = matrix::RowWeight::uniform;
    Precision precision = Precision::double_;
    dense::Eigensolver eigensolver = dense::Eigensolver::automatic;
    std::int64_t vectors = 0;          ///< leading right singular vectors to find
    bool unsquared = false;            ///< a pass over W itself afterwards: small values keep their digits
    std::int64_t memory = 0;           ///< cap a rank, bytes
    std::filesystem::path checkpoint;  ///< where G waits on disk while it is solved; empty: nowhere
};

/// The highest order that the eigenvalue problem can have: no more columns can meet in rows than these hold
/// non-zeros (one-hot rows are none of them).
std::int64_t most_coupled_columns(const matrix::MatrixReader& reader);

/// Whether the pass over W itself (`GramOptions::unsquared`) takes seconds and fits in memory beside the
/// rest.
bool unsquared_is_cheap(const matrix::MatrixReader& reader, int ranks, GramOptions options);

/// What a rank holds during `gram_spectrum`, in bytes by part.
MemoryPlan gram_memory_plan(const matrix::MatrixReader& reader, int ranks, const GramOptions& options);

/// The least number of ranks, from `ranks` up, on which the plan fits.
int least_ranks(const matrix::MatrixReader& reader, int ranks, const GramOptions& options);

/// All singular values of W through G = W'W: one pass over the blocks, then all eigenvalues, then the wanted
/// vectors. Small values: an error of eps sigma_1^2 / sigma, or eps sigma_1 with `unsquared`. A checkpoint of
/// the same matrix takes the place of the pass; the caller removes it when the spectrum is safe. Vectors need
/// one: G is used up by the solver and read again to check them. Collective. Throws `Error` when the plan
/// does not fit or an identity of the result fails.
Spectrum gram_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                       const GramOptions& options, Progress& progress);

}  // namespace eckart::svd
