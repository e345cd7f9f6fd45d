#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/band_matrix.hpp"
#include "eckart/dense/symmetric_columns.hpp"

#include <functional>
#include <vector>

namespace eckart::dense {

/// The band matrix B = Q'AQ for an orthogonal Q, whole on every rank. The matrix then holds Q's reflectors.
/// `may_stop` is called after every panel, on all ranks; what it throws, on all of them, ends the reduction.
/// Collective.
/// Cost: 4/3 n^3 flops over the ranks, in matrix products; n / band messages of n x band numbers each way.
/// Reference: Bischof, Lang and Sun 2000 (successive band reduction).
template <typename T>
BandMatrix reduce_to_band(
    SymmetricColumns<T>& matrix, Progress& progress, const std::function<void()>& may_stop = [] {});

/// x := Q x, for the Q whose reflectors `reduce_to_band` has left in the matrix. Shape: padded_size() x any
/// number of columns, column-major; each rank brings columns of its own. Collective. Cost: 2 n^2 flops a
/// column.
template <typename T>
void apply_reflectors(const SymmetricColumns<T>& reduced, std::vector<double>& x);

}  // namespace eckart::dense
