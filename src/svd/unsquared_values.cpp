#include "eckart/svd/unsquared_values.hpp"

#include "eckart/dense/row_qr.hpp"
#include "eckart/matrix/kernels.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <cmath>
#include <span>

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

}  // namespace

std::vector<double> unsquared_values(const SymmetricOperator& gram, const matrix::MatrixReader& reader,
                                     const CoupledColumns& split, matrix::RowWeight weight,
                                     const dense::Columns& v, Progress& progress) {
    const mpi::Communicator& comm = gram.comm();
    const std::vector<double> rows_of_v = gather_rows(gram, v);
    const auto width = static_cast<std::size_t>(v.columns);
    dense::RowQr factor(v.columns);
    std::vector<double> row(width);
    const auto add_to_row = [&](double scale, std::int64_t position) {
        const double* const from = rows_of_v.data() + position * v.columns;
        for (std::size_t j = 0; j < width; ++j) row[j] += scale * from[j];
    };
    progress.begin("the last pass, without squaring");
    mpi::agree(comm, [&] {
        matrix::BlockStream stream(reader, reader.share(comm.rank(), comm.size()));
        while (const auto block = stream.next()) {
            const matrix::ScaledRows rows = matrix::scaled_rows(reader, *block, weight, split.position);
            for (std::int64_t r = 0; r < rows.rows(); ++r) {
                std::fill(row.begin(), row.end(), 0.0);
                for (std::int64_t e = rows.indptr[r]; e < rows.indptr[r + 1]; ++e)
                    add_to_row(rows.values[e], rows.indices[e]);
                factor.add(row);
            }
        }
        const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
        for (std::int64_t i = gram.first_row(); i < gram.first_row() + gram.local_rows(); ++i) {
            const double one_hot =
                diagonal[static_cast<std::size_t>(split.coupled[static_cast<std::size_t>(i)])];
            std::fill(row.begin(), row.end(), 0.0);
            add_to_row(std::sqrt(one_hot), i);
            if (one_hot > 0) factor.add(row);
        }
    });
    std::vector<double> values = factor.singular_values(comm);
    progress.end();
    return values;
}

std::int64_t unsquared_bytes(const matrix::MatrixReader& reader, std::int64_t columns) {
    return 2 * columns * reader.column_count() * static_cast<std::int64_t>(sizeof(double)) +
           dense::RowQr::bytes(columns) + 5 * reader.largest_block_bytes();
}

}  // namespace eckart::svd
