#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/block_cyclic.hpp"
#include "eckart/matrix/matrix_reader.hpp"

#include <cstdint>
#include <vector>

namespace eckart::svd {

/// The columns of W by what they need: those that occur in one-hot rows alone are eigenvalues of G = W'W
/// already (their diagonal entry); the others, `coupled`, meet in some row.
struct ColumnSplit {
    std::vector<std::int32_t> coupled;         ///< compacted columns, ascending
    std::vector<std::int32_t> position;        ///< of each column in `coupled`, or -1
    std::vector<double> isolated_eigenvalues;  ///< one a column that is not coupled
};
/// Collective: each rank looks at its share of the blocks.
ColumnSplit split_columns(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                          matrix::RowWeight weight, Progress& progress);

/// The lower triangle of G over the coupled columns, block-cyclic, in one pass: each rank adds only to its
/// own tiles, block after block in one order, so the numbers do not depend on the grid. Shape: coupled x
/// coupled. Collective. Cost: about sum k^2 / 2 multiply-adds over all ranks, k non-zeros a row.
dense::BlockCyclicMatrix<double> cross_product(const dense::ProcessGrid& grid,
                                               const matrix::MatrixReader& reader, const ColumnSplit& split,
                                               matrix::RowWeight weight, std::int64_t tile,
                                               Progress& progress);

/// Sums that G must satisfy whatever the solver says.
struct CrossProductSums {
    double trace = 0;         ///< ||W||_F^2 of the coupled part
    double all_entries = 0;   ///< sum_r m_r (sum p_r)^2: the number of contexts merged into coupled rows
    double squared_norm = 0;  ///< ||G||_F^2 = sum lambda^2
};
/// Of a matrix whose lower triangle is set. Collective.
CrossProductSums sums_of(const dense::BlockCyclicMatrix<double>& gram);

}  // namespace eckart::svd
