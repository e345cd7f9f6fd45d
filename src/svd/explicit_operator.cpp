#include "eckart/svd/explicit_operator.hpp"

#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/cross_product.hpp"

#include <algorithm>
#include <span>

namespace eckart::svd {

ExplicitOperator::ExplicitOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                                   const CoupledColumns& split, matrix::RowWeight weight, Progress& progress)
    : SymmetricOperator(comm, static_cast<std::int64_t>(split.coupled.size())), rows_(local_rows(), size()) {
    RowBlocks blocks(comm, reader, 0);
    progress.begin("forming the cross product", blocks.nonzeros(), " non-zeros");
    std::int64_t done = 0;
    blocks.for_each([&](const matrix::CsrBlock& block) {
        add_rows(reader, block, split, weight);
        progress.update(done += block.nonzeros());
    });
    const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
    for (std::int64_t i = 0; i < local_rows(); ++i)
        rows_.column(first_row() + i)[i] +=
            diagonal[static_cast<std::size_t>(split.coupled[static_cast<std::size_t>(first_row() + i)])];
    progress.end();
}

void ExplicitOperator::add_rows(const matrix::MatrixReader& reader, const matrix::CsrBlock& block,
                                const CoupledColumns& split, matrix::RowWeight weight) {
    for (std::int64_t row = 0; row < block.rows(); ++row) {
        const auto indices = block.row_indices(row);
        const auto counts = block.row_data(row);
        double total = 0;
        for (const std::uint64_t count : counts) total += static_cast<double>(count);
        const double factor = reader.row_factor(block, row, weight) / (total * total);
        for (std::size_t a = 0; a < indices.size(); ++a) {
            const std::int64_t i = split.position[static_cast<std::size_t>(indices[a])] - first_row();
            if (i < 0 || i >= local_rows()) continue;
            const double scaled = factor * static_cast<double>(counts[a]);
            for (std::size_t b = 0; b < indices.size(); ++b)
                rows_.column(split.position[static_cast<std::size_t>(indices[b])])[i] +=
                    scaled * static_cast<double>(counts[b]);
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
           3 * reader.largest_block_bytes();
}

}  // namespace eckart::svd
