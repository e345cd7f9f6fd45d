#include "eckart/dense/block_cyclic.hpp"

#include "eckart/base/error.hpp"
#include "fortran.hpp"

#include <algorithm>

namespace eckart::dense {

std::int64_t CyclicDimension::local_size() const {
    const std::int64_t blocks = size / block, rest = size % block;
    const std::int64_t extra = blocks % processes;
    return blocks / processes * block + (process < extra ? block : process == extra ? rest : 0);
}

template <typename T>
BlockCyclicMatrix<T>::BlockCyclicMatrix(const ProcessGrid& grid, std::int64_t rows, std::int64_t columns,
                                        std::int64_t block)
    : grid_(&grid),
      rows_{.size = rows, .block = block, .processes = grid.rows(), .process = grid.row()},
      columns_{.size = columns, .block = block, .processes = grid.columns(), .process = grid.column()},
      leading_(std::max<std::int64_t>(1, rows_.local_size())),
      data_(static_cast<std::size_t>(leading_ * columns_.local_size())) {}

template <typename T>
std::array<int, 9> BlockCyclicMatrix<T>::descriptor() const {
    return {1,
            grid_->context(),
            narrow<int>(rows_.size),
            narrow<int>(columns_.size),
            narrow<int>(rows_.block),
            narrow<int>(columns_.block),
            0,
            0,
            narrow<int>(leading_)};
}

template class BlockCyclicMatrix<double>;
template class BlockCyclicMatrix<float>;

std::int64_t block_cyclic_bytes(std::int64_t rows, std::int64_t columns, std::int64_t block, int grid_rows,
                                int grid_columns, std::int64_t element_bytes) {
    const CyclicDimension r{rows, block, grid_rows, 0}, c{columns, block, grid_columns, 0};
    return r.local_size() * c.local_size() * element_bytes;
}

void symmetrise_from_lower(BlockCyclicMatrix<double>& matrix) {
    const int n = narrow<int>(matrix.rows().size), one = 1;
    if (n == 0) return;
    BlockCyclicMatrix<double> transposed(matrix.grid(), n, n, matrix.rows().block);
    const auto descriptor = matrix.descriptor();
    const double unit = 1, zero = 0;
    pdtran_(&n, &n, &unit, matrix.data(), &one, &one, descriptor.data(), &zero, transposed.data(), &one, &one,
            descriptor.data());
    const std::int64_t local_columns = matrix.columns().local_size(), local_rows = matrix.rows().local_size();
    for (std::int64_t j = 0; j < local_columns; ++j) {
        const std::int64_t column = matrix.columns().global(j);
        for (std::int64_t i = 0; i < local_rows && matrix.rows().global(i) < column; ++i)
            matrix.at(i, j) = transposed.at(i, j);
    }
}

std::vector<double> gather_to_root(const BlockCyclicMatrix<double>& matrix) {
    const std::int64_t rows = matrix.rows().size, columns = matrix.columns().size;
    const ProcessGrid& grid = matrix.grid();
    std::vector<double> whole(grid.comm().is_root() ? static_cast<std::size_t>(rows * columns) : 1);
    // A layout of one tile as large as the matrix lies on the grid's first process.
    const std::array<int, 9> target{1,
                                    grid.context(),
                                    narrow<int>(rows),
                                    narrow<int>(columns),
                                    narrow<int>(std::max<std::int64_t>(rows, 1)),
                                    narrow<int>(std::max<std::int64_t>(columns, 1)),
                                    0,
                                    0,
                                    narrow<int>(std::max<std::int64_t>(rows, 1))};
    // In strips of columns, so that no message of the redistribution reaches 2^31 bytes.
    const std::int64_t strip =
        std::max<std::int64_t>(1, (std::int64_t{1} << 26) / std::max<std::int64_t>(rows, 1));
    for (std::int64_t first = 0; first < columns; first += strip) {
        const int width = narrow<int>(std::min(strip, columns - first)), at = narrow<int>(first + 1);
        Cpdgemr2d(narrow<int>(rows), width, matrix.data(), 1, at, matrix.descriptor().data(), whole.data(), 1,
                  at, target.data(), grid.context());
    }
    if (!grid.comm().is_root()) whole.clear();
    return whole;
}

}  // namespace eckart::dense
