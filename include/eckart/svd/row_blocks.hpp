#pragma once

#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace eckart::svd {

/// The row blocks of a matrix, each this or that rank's, looked at twice: a rank keeps what it has read for
/// the second look when its share fits in `keep_bytes`, and reads it again otherwise.
class RowBlocks {
public:
    RowBlocks(const mpi::Communicator& comm, const matrix::MatrixReader& reader, std::int64_t keep_bytes);

    const mpi::Communicator& comm() const { return comm_; }
    const matrix::MatrixReader& reader() const { return reader_; }
    /// Of this rank's blocks.
    std::int64_t nonzeros() const;
    /// The first look at each block of this rank. Not collective.
    void for_each(const std::function<void(const matrix::CsrBlock&)>& action);
    /// The second look: one block after the other, then nothing. Not collective.
    std::optional<matrix::CsrBlock> next();

private:
    const mpi::Communicator& comm_;
    const matrix::MatrixReader& reader_;
    std::vector<std::int64_t> own_;
    bool keep_;
    std::vector<matrix::CsrBlock> kept_;
    std::size_t taken_ = 0;
    std::unique_ptr<matrix::BlockStream> stream_;
};

}  // namespace eckart::svd
