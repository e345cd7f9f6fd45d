#pragma once

#include "eckart/base/memory_plan.hpp"
#include "eckart/base/progress.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/svd/spectrum.hpp"

#include <cstdint>
#include <filesystem>

namespace eckart::svd {

struct RandomizedOptions {
    matrix::RowWeight weight = matrix::RowWeight::uniform;
    std::int64_t dimension = 512;  ///< K: how many leading values are wanted
    double tolerance = 1e-4;       ///< on W-error(d), every d <= K, absolute
    std::int64_t passes = 0;       ///< exactly so many to build the basis; 0: until the tolerance is met
    std::int64_t max_passes = 200;
    std::int64_t block = 0;  ///< columns multiplied in one pass; 0: chosen from the dimension
    std::int64_t basis = 0;  ///< columns kept before a restart; 0: what the memory cap allows, up to 4 K
    std::uint64_t seed = 1;
    std::int64_t probes = 16;            ///< columns of the probe that bounds what is beyond the basis
    std::int64_t probe_passes = 12;      ///< passes of the probe: more make the interval narrower
    double failure_probability = 1e-10;  ///< of that bound
    bool unsquared = false;              ///< a last pass over W V itself, so that small values keep digits
    bool vectors = false;                ///< keep the right singular vectors
    std::filesystem::path checkpoint;    ///< a directory for the state after every pass; empty: none
    int threads = 1;                     ///< of this rank
    std::filesystem::path scratch;       ///< where rows wait that memory does not hold
    std::int64_t scratch_bytes = 0;      ///< free there for each rank
    std::int64_t memory = 0;             ///< cap a rank, bytes
};

/// What a rank holds during `randomized_spectrum`, in bytes by part.
MemoryPlan randomized_memory_plan(const matrix::MatrixReader& reader, int ranks,
                                  const RandomizedOptions& options);

/// The leading K singular values of W by randomized block Krylov iteration on G = W'W, which is never formed:
/// every pass streams the blocks once through Z = W'(W X). Each value comes with an interval (see bounds.hpp)
/// that holds the true one except with `failure_probability`. Not reaching the tolerance within `max_passes`
/// is a result: the interval says so. Collective. Throws `Error` when the plan does not fit.
/// Reference: Halko, Martinsson and Tropp 2011; Musco and Musco 2015.
Spectrum randomized_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                             const RandomizedOptions& options, Progress& progress);

}  // namespace eckart::svd
