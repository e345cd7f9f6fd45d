#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/symmetric_operator.hpp"

#include <cstdint>
#include <vector>

namespace eckart::svd {

/// Singular values of W V, descending, without squaring: R <- qr([R; W_b V]) over the blocks, one pass. Where
/// V holds Ritz vectors of G = W'W, these are the same values with an error of eps sigma_1 instead of eps
/// sigma_1^2 / sigma. `v` is spread over the ranks as panels of `gram` are. Collective. Cost: merged rows x 3
/// columns^2 flops over all ranks; V whole on every rank.
std::vector<double> unsquared_values(const SymmetricOperator& gram, const matrix::MatrixReader& reader,
                                     const CoupledColumns& split, matrix::RowWeight weight,
                                     const dense::Columns& v, Progress& progress);

/// All singular values of W's coupled columns in the same way, with 1 for V. Collective.
std::vector<double> unsquared_values(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                                     const CoupledColumns& split, matrix::RowWeight weight,
                                     Progress& progress);

/// The error of each of them: a few eps sigma_1 (Householder's QR is backward stable; Higham 2002, chapter
/// 19).
double unsquared_error(double largest, std::int64_t order);

/// Bytes a rank holds for it; and for V, whole and on its way there, without its own rows.
std::int64_t unsquared_bytes(const matrix::MatrixReader& reader, std::int64_t columns);
std::int64_t whole_panel_bytes(const matrix::MatrixReader& reader, std::int64_t columns);

}  // namespace eckart::svd
