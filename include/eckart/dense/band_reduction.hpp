#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/band_matrix.hpp"
#include "eckart/dense/symmetric_columns.hpp"

namespace eckart::dense {

/// An orthogonally similar band matrix, whole on every rank. Destroys the matrix. Collective.
/// Cost: 4/3 n^3 flops over the ranks, in matrix products; n / band messages of n x band numbers each way.
/// Reference: Bischof, Lang and Sun 2000 (successive band reduction).
template <typename T>
BandMatrix reduce_to_band(SymmetricColumns<T>& matrix, Progress& progress);

}  // namespace eckart::dense
