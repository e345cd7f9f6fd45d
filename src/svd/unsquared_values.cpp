#include "eckart/svd/unsquared_values.hpp"

#include "eckart/dense/row_qr.hpp"
#include "eckart/matrix/kernels.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace eckart::svd {

namespace {

/// The whole of V, row-major, on every rank.
std::vector<double> gather_rows(const SymmetricOperator& gram, const dense::Columns& v) {
    std::vector<double> mine(static_cast<std::size_t>(v.rows * v.columns));
    for (std::int64_t i = 0; i < v.rows; ++i)
        for (std::int64_t j = 0; j < v.columns; ++j)
            mine[static_cast<std::size_t>(i * v.columns + j)] = v.data[j * v.rows + i];
    return mpi::all_gather_all<double>(gram.comm(), mine);
}

/// The singular values of a matrix with a row for each of W's, one-hot ones included: `add(row, scale, i)`
/// adds what `scale` in coupled column i stands for. The one-hot rows of columns [first, last) are this
/// rank's.
template <typename Add>
std::vector<double> values_by_rows(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                                   const CoupledColumns& split, matrix::RowWeight weight, std::int64_t width,
                                   std::int64_t first, std::int64_t last, Progress& progress, Add add) {
    dense::RowQr factor(width);
    std::vector<double> row(static_cast<std::size_t>(width));
    progress.begin("a pass over W itself, without squaring");
    mpi::agree(comm, [&] {
        matrix::BlockStream stream(reader, reader.share(comm.rank(), comm.size()));
        while (const auto block = stream.next()) {
            const matrix::ScaledRows rows = matrix::scaled_rows(reader, *block, weight, split.position);
            for (std::int64_t r = 0; r < rows.rows(); ++r) {
                std::fill(row.begin(), row.end(), 0.0);
                for (std::int64_t e = rows.indptr[r]; e < rows.indptr[r + 1]; ++e)
                    add(row, rows.values[e], rows.indices[e]);
                factor.add(row);
            }
        }
        const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
        for (std::int64_t i = first; i < last; ++i) {
            const double one_hot =
                diagonal[static_cast<std::size_t>(split.coupled[static_cast<std::size_t>(i)])];
            if (!(one_hot > 0)) continue;
            std::fill(row.begin(), row.end(), 0.0);
            add(row, std::sqrt(one_hot), i);
            factor.add(row);
        }
    });
    std::vector<double> values = factor.singular_values(comm);
    progress.end();
    return values;
}

}  // namespace

std::vector<double> unsquared_values(const SymmetricOperator& gram, const matrix::MatrixReader& reader,
                                     const CoupledColumns& split, matrix::RowWeight weight,
                                     const dense::Columns& v, Progress& progress) {
    const std::vector<double> rows_of_v = gather_rows(gram, v);
    const auto add = [&](std::vector<double>& row, double scale, std::int64_t i) {
        const double* const from = rows_of_v.data() + i * v.columns;
        for (std::size_t j = 0; j < row.size(); ++j) row[j] += scale * from[j];
    };
    return values_by_rows(gram.comm(), reader, split, weight, v.columns, gram.first_row(),
                          gram.first_row() + gram.local_rows(), progress, add);
}

std::vector<double> unsquared_values(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                                     const CoupledColumns& split, matrix::RowWeight weight,
                                     Progress& progress) {
    const auto order = static_cast<std::int64_t>(split.coupled.size());
    const auto add = [](std::vector<double>& row, double scale, std::int64_t i) {
        row[static_cast<std::size_t>(i)] += scale;
    };
    return values_by_rows(comm, reader, split, weight, order, order * comm.rank() / comm.size(),
                          order * (comm.rank() + 1) / comm.size(), progress, add);
}

double unsquared_error(double largest, std::int64_t order) {
    return 8 * std::numeric_limits<double>::epsilon() *
           std::sqrt(static_cast<double>(std::max<std::int64_t>(order, 16))) * largest;
}

std::int64_t unsquared_bytes(const matrix::MatrixReader& reader, std::int64_t columns) {
    return dense::RowQr::bytes(columns) + 5 * reader.largest_block_bytes();
}

std::int64_t whole_panel_bytes(const matrix::MatrixReader& reader, std::int64_t columns) {
    return 2 * columns * reader.column_count() * static_cast<std::int64_t>(sizeof(double));
}

}  // namespace eckart::svd
