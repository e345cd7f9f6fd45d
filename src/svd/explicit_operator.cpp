#include "eckart/svd/explicit_operator.hpp"

#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/row_router.hpp"

#include <algorithm>
#include <span>

namespace eckart::svd {

ExplicitOperator::ExplicitOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                                   const CoupledColumns& split, matrix::RowWeight weight, Progress& progress)
    : SymmetricOperator(comm, static_cast<std::int64_t>(split.coupled.size())), rows_(local_rows(), size()) {
    RowBlocks blocks(comm, reader, 0);
    progress.begin("forming the cross product", blocks.nonzeros(), " non-zeros");
    // Every row is long: a rank needs the whole of it.
    const std::vector<std::int32_t> zeros(static_cast<std::size_t>(size()));
    RowRouter<double> router(comm, zeros, zeros);
    route_rows<double>(blocks, router, weight, split.position, progress,
                       [&](std::span<const RowEntry<double>> rows) { add_rows(rows); });
    const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
    for (std::int64_t i = 0; i < local_rows(); ++i)
        rows_.column(first_row() + i)[i] +=
            diagonal[static_cast<std::size_t>(split.coupled[static_cast<std::size_t>(first_row() + i)])];
    progress.end();
}

void ExplicitOperator::add_rows(std::span<const RowEntry<double>> rows) {
    while (!rows.empty()) {
        const auto row = take_row(rows);
        for (const RowEntry<double>& a : row) {
            const std::int64_t i = a.column() - first_row();
            if (i < 0 || i >= local_rows()) continue;
            for (const RowEntry<double>& b : row) rows_.column(b.column())[i] += a.value * b.value;
        }
    }
}

dense::TallMatrix ExplicitOperator::apply(const dense::Columns& x) {
    // A whole column is the rows of G's own order, so a panel is gathered as the ranks' parts of its columns.
    dense::TallMatrix z(local_rows());
    z.reserve(x.columns);
    constexpr std::int64_t at_once = 64;
    for (std::int64_t first = 0; first < x.columns; first += at_once) {
        const std::int64_t width = std::min(at_once, x.columns - first);
        const std::vector<double> parts = mpi::all_gather_all<double>(
            comm(), std::span(x.data + first * x.rows, static_cast<std::size_t>(width * x.rows)));
        dense::SmallMatrix whole(size(), width);
        const double* from = parts.data();
        for (int rank = 0; rank < comm().size(); ++rank)
            for (std::int64_t j = 0; j < width; ++j)
                for (std::int64_t i = first_row(rank); i < first_row(rank + 1); ++i) whole.at(i, j) = *from++;
        z.append(dense::product(rows_, whole));
    }
    return z;
}

std::int64_t explicit_operator_bytes(const matrix::MatrixReader& reader, int ranks, std::int64_t width) {
    const std::int64_t order = reader.column_count();
    const std::int64_t panel = 3 * std::min<std::int64_t>(width, 64) * order;
    return (order * (order / ranks + 1) + panel) * static_cast<std::int64_t>(sizeof(double)) +
           row_router_bytes(reader.manifest().merged_nonzeros, order, sizeof(double)) +
           3 * reader.largest_block_bytes();
}

}  // namespace eckart::svd
