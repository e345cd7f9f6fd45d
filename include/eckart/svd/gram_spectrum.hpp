#pragma once

#include "eckart/base/memory_plan.hpp"
#include "eckart/base/progress.hpp"
#include "eckart/dense/eigenvalues.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/svd/spectrum.hpp"

#include <optional>
#include <string>

namespace eckart::svd {

/// Of G's entries and the reduction to a band; what follows is double either way. Single takes half the
/// memory and half the time, and its floor is 2e4 times higher.
enum class Precision { single_, double_ };

struct GramOptions {
    matrix::RowWeight weight = matrix::RowWeight::uniform;
    Precision precision = Precision::double_;
    std::optional<dense::Eigensolver> eigensolver;  ///< nothing: two_stage
    std::int64_t memory = 0;                        ///< cap a rank, bytes
};

/// What a rank holds during `gram_spectrum`, in bytes by part.
MemoryPlan gram_memory_plan(const matrix::MatrixReader& reader, int ranks, const GramOptions& options);

/// All singular values of W through G = W'W: one pass over the blocks, then all eigenvalues. Collective.
/// Throws `Error` when the plan does not fit or an identity of the result fails.
Spectrum gram_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                       const GramOptions& options, Progress& progress);

}  // namespace eckart::svd
