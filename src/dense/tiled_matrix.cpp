#include "eckart/dense/tiled_matrix.hpp"

#include "eckart/base/error.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <exception>

extern "C" {
int Csys2blacs_handle(MPI_Comm comm);
void Cblacs_gridinit(int* context, const char* order, int rows, int columns);
void Cblacs_gridexit(int context);
}

namespace eckart::dense {

namespace {

int squarest_rows(int ranks) {
    int rows = static_cast<int>(std::sqrt(static_cast<double>(ranks)));
    while (ranks % rows != 0) --rows;
    return rows;
}

/// Every process has tiles: ScaLAPACK's eigensolvers are known to fail when the order is near one tile.
int tile_for(std::int64_t size, int grid_columns) {
    constexpr std::int64_t most = 64, tiles_a_process = 4;
    return static_cast<int>(std::clamp<std::int64_t>(size / (tiles_a_process * grid_columns), 1, most));
}

}  // namespace

template <typename T>
TiledMatrix::TiledMatrix(SymmetricColumns<T>& matrix)
    : comm_(matrix.comm()),
      size_(narrow<int>(matrix.size())),
      tile_(tile_for(size_, comm_.size() / squarest_rows(comm_.size()))),
      grid_rows_(squarest_rows(comm_.size())),
      rows_(owned(row(), grid_rows_)),
      columns_(owned(column(), comm_.size() / grid_rows_)),
      values_(rows_.size() * columns_.size()) {
    narrow<int>(static_cast<std::int64_t>(values_.size()));  // local indices are int
    for (std::int64_t block = 0; block < matrix.block_count(); ++block) {
        const std::vector<T> values =
            mpi::broadcast(comm_, std::move(matrix.storage(block)), matrix.owner(block));
        matrix.storage(block).clear();
        take(matrix, block, values);
    }
    context_ = Csys2blacs_handle(comm_.handle());
    Cblacs_gridinit(&context_, "Column", grid_rows_, comm_.size() / grid_rows_);
}
template TiledMatrix::TiledMatrix(SymmetricColumns<double>&);
template TiledMatrix::TiledMatrix(SymmetricColumns<float>&);

TiledMatrix::~TiledMatrix() {
    if (context_ >= 0 && std::uncaught_exceptions() == 0)
        Cblacs_gridexit(context_);  // collective: left out while an error unwinds
}

std::array<int, 9> TiledMatrix::descriptor() const {
    constexpr int dense = 1, first_process = 0;
    return {
        dense, context_, size_, size_, tile_, tile_, first_process, first_process, std::max(1, local_rows())};
}

std::vector<int> TiledMatrix::owned(int process, int processes) const {
    std::vector<int> numbers;
    for (int i = 0; i < size_; ++i)
        if (i / tile_ % processes == process) numbers.push_back(i);
    return numbers;
}

/// What this rank has of a block of columns and of its mirror image.
template <typename T>
void TiledMatrix::take(const SymmetricColumns<T>& matrix, std::int64_t block, const std::vector<T>& values) {
    const std::int64_t first = matrix.first(block), end = first + matrix.columns(block);
    for (std::size_t j = 0; j < columns_.size(); ++j)
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const auto [column, row] = std::minmax(columns_[j], rows_[i]);
            if (column < first || column >= end) continue;
            values_[j * rows_.size() + i] = static_cast<double>(
                values[static_cast<std::size_t>((column - first) * matrix.rows(block) + (row - first))]);
        }
}

}  // namespace eckart::dense
