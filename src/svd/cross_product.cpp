#include "eckart/svd/cross_product.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <limits>

namespace eckart::svd {

namespace {

/// The blocks of a matrix, one after the other on every rank, each read from disk by one.
class SharedPass {
public:
    SharedPass(const mpi::Communicator& comm, const matrix::MatrixReader& reader)
        : comm_(comm), reader_(reader), stream_(reader, own_blocks()) {}

    std::optional<matrix::CsrBlock> next() {
        if (number_ == reader_.block_count()) return std::nullopt;
        const int owner = static_cast<int>(number_++ % comm_.size());
        matrix::CsrBlock block;
        mpi::agree(comm_, [&] {
            if (comm_.rank() == owner) block = *stream_.next();
        });
        if (comm_.size() > 1) share(block, owner);
        return block;
    }

private:
    std::vector<std::int64_t> own_blocks() const {
        std::vector<std::int64_t> numbers;
        for (std::int64_t number = comm_.rank(); number < reader_.block_count(); number += comm_.size())
            numbers.push_back(number);
        return numbers;
    }
    void share(matrix::CsrBlock& block, int owner) const {
        block.columns = reader_.column_count();
        block.indptr = mpi::broadcast(comm_, std::move(block.indptr), owner);
        block.indices = mpi::broadcast(comm_, std::move(block.indices), owner);
        block.data = mpi::broadcast(comm_, std::move(block.data), owner);
        block.multiplicity = mpi::broadcast(comm_, std::move(block.multiplicity), owner);
        block.weight = mpi::broadcast(comm_, std::move(block.weight), owner);
    }
    const mpi::Communicator& comm_;
    const matrix::MatrixReader& reader_;
    matrix::BlockStream stream_;
    std::int64_t number_ = 0;
};

std::int64_t total_nonzeros(const matrix::MatrixReader& reader) {
    std::int64_t sum = 0;
    for (const matrix::BlockEntry& block : reader.manifest().blocks) sum += block.nonzeros;
    return sum;
}

/// Where a rank's tiles hold an entry of G: local row and column by compacted column, or -1.
struct LocalPlaces {
    std::vector<std::int32_t> row;
    std::vector<std::int32_t> column;

    LocalPlaces(const dense::BlockCyclicMatrix<double>& gram, const ColumnSplit& split)
        : row(split.position.size(), -1), column(split.position.size(), -1) {
        for (std::size_t i = 0; i < split.coupled.size(); ++i) {
            const auto global = static_cast<std::int64_t>(i);
            const auto token = static_cast<std::size_t>(split.coupled[i]);
            if (gram.rows().is_local(global))
                row[token] = static_cast<std::int32_t>(gram.rows().local(global));
            if (gram.columns().is_local(global))
                column[token] = static_cast<std::int32_t>(gram.columns().local(global));
        }
    }
};

/// Adds the rows of one block to this rank's tiles of the lower triangle.
void add_block(const matrix::MatrixReader& reader, const matrix::CsrBlock& block, matrix::RowWeight weight,
               const LocalPlaces& places, dense::BlockCyclicMatrix<double>& gram) {
    std::vector<std::int32_t> local_rows;  // of the row's entries that lie in this process row, ascending
    std::vector<std::int32_t> order;       // and their position in the row
    std::vector<double> values;
    for (std::int64_t row = 0; row < block.rows(); ++row) {
        const auto indices = block.row_indices(row);
        const auto data = block.row_data(row);
        double total = 0;
        for (const std::uint64_t count : data) total += static_cast<double>(count);
        local_rows.clear(), order.clear(), values.clear();
        for (std::size_t i = 0; i < indices.size(); ++i)
            if (const std::int32_t place = places.row[static_cast<std::size_t>(indices[i])]; place >= 0) {
                local_rows.push_back(place);
                order.push_back(static_cast<std::int32_t>(i));
                values.push_back(static_cast<double>(data[i]) / total);
            }
        const double factor = reader.row_factor(block, row, weight);
        std::size_t first = 0;  // entries from here on lie on or below the diagonal
        for (std::size_t j = 0; j < indices.size(); ++j) {
            const std::int32_t place = places.column[static_cast<std::size_t>(indices[j])];
            if (place < 0) continue;
            while (first < order.size() && order[first] < static_cast<std::int32_t>(j)) ++first;
            double* column = gram.column(place);
            const double scaled = factor * (static_cast<double>(data[j]) / total);
            for (std::size_t i = first; i < local_rows.size(); ++i)
                column[local_rows[i]] += scaled * values[i];
        }
    }
}

}  // namespace

ColumnSplit split_columns(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                          matrix::RowWeight weight, Progress& progress) {
    const auto columns = static_cast<std::size_t>(reader.column_count());
    std::vector<std::uint8_t> coupled(columns);
    progress.begin("finding coupled columns", total_nonzeros(reader) / comm.size(), "non-zeros");
    mpi::agree(comm, [&] {
        matrix::BlockStream stream(reader, reader.share(comm.rank(), comm.size()));
        std::int64_t done = 0;
        while (const auto block = stream.next()) {
            for (const std::int32_t column : block->indices) coupled[static_cast<std::size_t>(column)] = 1;
            progress.update(done += block->nonzeros());
        }
    });
    mpi::all_max(comm, std::span(coupled));
    progress.end();
    ColumnSplit split;
    split.position.assign(columns, -1);
    const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
    for (std::size_t column = 0; column < columns; ++column) {
        if (coupled[column] == 0) {
            split.isolated_eigenvalues.push_back(diagonal[column]);
        } else {
            split.position[column] = static_cast<std::int32_t>(split.coupled.size());
            split.coupled.push_back(static_cast<std::int32_t>(column));
        }
    }
    return split;
}

dense::BlockCyclicMatrix<double> cross_product(const dense::ProcessGrid& grid,
                                               const matrix::MatrixReader& reader, const ColumnSplit& split,
                                               matrix::RowWeight weight, std::int64_t tile,
                                               Progress& progress) {
    const auto size = static_cast<std::int64_t>(split.coupled.size());
    dense::BlockCyclicMatrix<double> gram(grid, size, size, tile);
    const LocalPlaces places(gram, split);
    progress.begin("forming the cross product", total_nonzeros(reader), "non-zeros");
    SharedPass pass(grid.comm(), reader);
    std::int64_t done = 0;
    while (const auto block = pass.next()) {
        add_block(reader, *block, weight, places, gram);
        progress.update(done += block->nonzeros());
    }
    const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
    for (const std::int32_t column : split.coupled) {
        const auto c = static_cast<std::size_t>(column);
        if (places.row[c] >= 0 && places.column[c] >= 0)
            gram.at(places.row[c], places.column[c]) += diagonal[c];
    }
    progress.end();
    return gram;
}

CrossProductSums sums_of(const dense::BlockCyclicMatrix<double>& gram) {
    CrossProductSums sums;
    for (std::int64_t j = 0; j < gram.columns().local_size(); ++j) {
        const std::int64_t column = gram.columns().global(j);
        const double* values = gram.data() + j * gram.leading_dimension();
        for (std::int64_t i = 0; i < gram.rows().local_size(); ++i) {
            const std::int64_t row = gram.rows().global(i);
            if (row < column) continue;
            const double copies = row == column ? 1 : 2;
            sums.trace += row == column ? values[i] : 0;
            sums.all_entries += copies * values[i];
            sums.squared_norm += copies * values[i] * values[i];
        }
    }
    std::vector<double> all{sums.trace, sums.all_entries, sums.squared_norm};
    mpi::all_sum(gram.grid().comm(), std::span(all));
    return {all[0], all[1], all[2]};
}

}  // namespace eckart::svd
