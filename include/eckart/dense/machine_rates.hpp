#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstdint>

namespace eckart::dense {

/// What this machine does in a second, with all ranks at work: enough to say how long a spectrum will take.
struct MachineRates {
    double products = 0;   ///< flops of all ranks, in matrix products of the reduction's shape
    double bandwidth = 0;  ///< bytes of all ranks, read and written (a + s b into c: McCalpin's triad)
    double chase = 0;      ///< flops of bulge chasing, first rank
    double values = 0;     ///< pairs (n^2) of a tridiagonal matrix solved for its values, first rank
};

/// Measured in about a second, in precision T. Collective. `threads`: of the first rank, as in `TwoStage`.
template <typename T>
MachineRates measure_rates(const mpi::Communicator& comm, int threads);

/// Seconds of the parts of `TwoStage`.
struct TwoStageSeconds {
    double to_band = 0;
    double to_tridiagonal = 0;
    double values = 0;
    double vectors = 0;

    double total() const { return to_band + to_tridiagonal + values + vectors; }
};
/// Of a matrix of the order `size` with `vectors` leading vectors wanted, numbers of `element_bytes`.
TwoStageSeconds two_stage_seconds(const MachineRates& rates, std::int64_t size, std::int64_t vectors,
                                  std::int64_t element_bytes);

}  // namespace eckart::dense
