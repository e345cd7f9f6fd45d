#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <vector>

namespace eckart::svd {

/// The columns of W by what an iteration needs: those that occur in one-hot rows alone are eigenvectors of
/// G = W'W already (their diagonal entry is the value); the others, `coupled`, meet in some row.
struct CoupledColumns {
    std::vector<std::int32_t> coupled;         ///< compacted columns, the most frequent in rows first
    std::vector<std::int32_t> position;        ///< of each column in `coupled`, or -1
    std::vector<double> isolated_eigenvalues;  ///< one a column that is not coupled, by column
};
/// Collective: each rank looks at its share of the blocks.
CoupledColumns coupled_columns(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                               matrix::RowWeight weight, Progress& progress);

}  // namespace eckart::svd
