#pragma once

#include "eckart/dense/symmetric_columns.hpp"
#include "eckart/mpi/communicator.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace eckart::dense {

/// A symmetric matrix as ScaLAPACK and its kin take it: square tiles dealt block-cyclic over a grid of all
/// ranks, the squarest there is, numbered by columns. Holds the BLACS context.
class TiledMatrix {
public:
    /// Both triangles of a matrix, which is given up. Collective. Throws `Error` when a size does not fit the
    /// 32-bit integers of a descriptor.
    template <typename T>
    explicit TiledMatrix(SymmetricColumns<T>& matrix);
    ~TiledMatrix();
    TiledMatrix(TiledMatrix&&) = delete;

    const mpi::Communicator& comm() const { return comm_; }
    int size() const { return size_; }
    int tile() const { return tile_; }
    int row() const { return comm_.rank() % grid_rows_; }
    int column() const { return comm_.rank() / grid_rows_; }
    int local_rows() const { return static_cast<int>(rows_.size()); }
    int local_columns() const { return static_cast<int>(columns_.size()); }
    /// This rank's part. Shape: local_rows() x local_columns(), column-major.
    std::vector<double>& values() { return values_; }
    std::array<int, 9> descriptor() const;

private:
    std::vector<int> owned(int process, int processes) const;
    template <typename T>
    void take(const SymmetricColumns<T>& matrix, std::int64_t block, const std::vector<T>& values);

    const mpi::Communicator& comm_;
    int size_, tile_, grid_rows_, context_ = -1;
    std::vector<int> rows_, columns_;  // global numbers
    std::vector<double> values_;
};

}  // namespace eckart::dense
