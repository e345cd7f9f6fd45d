#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <utility>

namespace eckart::dense {

/// The ranks of a communicator as a grid of `rows` x `columns` processes, column-major as ELPA and ScaLAPACK
/// agree on, with its BLACS context. One for the life of a job: each holds MPI communicators.
class ProcessGrid {
public:
    /// The squarest grid that uses every rank, or the given one. Collective. Throws `Error` unless rows x
    /// columns is the number of ranks.
    explicit ProcessGrid(const mpi::Communicator& comm, std::pair<int, int> shape = {0, 0});
    ~ProcessGrid();
    ProcessGrid(ProcessGrid&&) = delete;

    const mpi::Communicator& comm() const { return comm_; }
    int rows() const { return rows_; }
    int columns() const { return columns_; }
    int row() const { return comm_.rank() % rows_; }
    int column() const { return comm_.rank() / rows_; }
    /// BLACS context, for descriptors.
    int context() const { return context_; }

private:
    const mpi::Communicator& comm_;
    int rows_ = 1;
    int columns_ = 1;
    int context_ = -1;
};

}  // namespace eckart::dense
