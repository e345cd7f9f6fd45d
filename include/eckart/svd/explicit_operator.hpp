#pragma once

#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/row_router.hpp"
#include "eckart/svd/symmetric_operator.hpp"

#include <cstdint>
#include <span>

namespace eckart::svd {

/// X -> G X with G formed once: each rank holds its rows of it, dense. Cheaper than the stream where the rows
/// of W hold more non-zeros than half of the square of the columns. References must outlive it.
class ExplicitOperator : public SymmetricOperator {
public:
    /// Reads the matrix once, each block by one rank. Collective.
    ExplicitOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                     const CoupledColumns& split, matrix::RowWeight weight, Progress& progress);

    /// Cost: 2 x size^2 x columns flops over all ranks; a rank receives size x columns numbers.
    dense::TallMatrix apply(const dense::Columns& x) override;

private:
    void add_rows(std::span<const RowEntry<double>> rows);

    dense::TallMatrix rows_;  ///< local rows x size
};

/// Bytes a rank holds for it while panels of `width` columns are multiplied.
std::int64_t explicit_operator_bytes(const matrix::MatrixReader& reader, int ranks, std::int64_t width);

}  // namespace eckart::svd
