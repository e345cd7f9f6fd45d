#pragma once

#include "eckart/dense/process_grid.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace eckart::dense {

/// One dimension of a block-cyclic layout: index g lies on process (g / block) mod processes.
struct CyclicDimension {
    std::int64_t size = 0;
    std::int64_t block = 1;
    int processes = 1;
    int process = 0;

    std::int64_t local_size() const;
    bool is_local(std::int64_t global) const { return global / block % processes == process; }
    std::int64_t local(std::int64_t global) const {
        return global / block / processes * block + global % block;
    }
    std::int64_t global(std::int64_t local) const {
        return (local / block * processes + process) * block + local % block;
    }
};

/// A dense matrix spread block-cyclic over a grid; this rank holds a local part, column-major.
template <typename T>
class BlockCyclicMatrix {
public:
    /// Zeros. Shape: rows x columns in tiles of `block` x `block`.
    BlockCyclicMatrix(const ProcessGrid& grid, std::int64_t rows, std::int64_t columns, std::int64_t block);

    const ProcessGrid& grid() const { return *grid_; }
    const CyclicDimension& rows() const { return rows_; }
    const CyclicDimension& columns() const { return columns_; }
    std::int64_t leading_dimension() const { return leading_; }
    T* data() { return data_.data(); }
    const T* data() const { return data_.data(); }
    T* column(std::int64_t local_column) { return data_.data() + local_column * leading_; }
    T& at(std::int64_t local_row, std::int64_t local_column) {
        return data_[static_cast<std::size_t>(local_column * leading_ + local_row)];
    }
    std::vector<T>& storage() { return data_; }
    /// ScaLAPACK's array descriptor. Throws `Error` when a size does not fit its 32-bit integers.
    std::array<int, 9> descriptor() const;

private:
    const ProcessGrid* grid_;
    CyclicDimension rows_;
    CyclicDimension columns_;
    std::int64_t leading_;
    std::vector<T> data_;
};

/// Bytes that the fullest rank of a grid holds of such a matrix.
std::int64_t block_cyclic_bytes(std::int64_t rows, std::int64_t columns, std::int64_t block, int grid_rows,
                                int grid_columns, std::int64_t element_bytes);

/// Copies the strictly lower triangle to the upper one. Collective.
void symmetrise_from_lower(BlockCyclicMatrix<double>& matrix);

/// The whole matrix on the grid's first rank, column-major; empty elsewhere. Collective.
std::vector<double> gather_to_root(const BlockCyclicMatrix<double>& matrix);

}  // namespace eckart::dense
