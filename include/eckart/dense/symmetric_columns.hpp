#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <vector>

namespace eckart::dense {

/// The lower triangle of a symmetric matrix, its columns dealt out to the ranks in blocks: block c lies whole
/// on rank c mod ranks, from its diagonal down. All ranks together hold half of the square: 10 GB in double
/// precision for 50,000 columns. The order is padded with zeros to whole bands of `band` columns.
template <typename T>
class SymmetricColumns {
public:
    static constexpr std::int64_t band = 64;

    /// Zeros. `width` columns a block, a multiple of `band`; 0 chooses. The communicator must outlive it.
    SymmetricColumns(const mpi::Communicator& comm, std::int64_t size, std::int64_t width = 0);

    const mpi::Communicator& comm() const { return *comm_; }
    std::int64_t size() const { return size_; }
    std::int64_t padded_size() const { return padded_; }
    std::int64_t width() const { return width_; }
    std::int64_t block_count() const { return static_cast<std::int64_t>(blocks_.size()); }
    std::int64_t block_of(std::int64_t column) const { return column / width_; }
    int owner(std::int64_t block) const { return static_cast<int>(block % ranks_); }
    bool is_mine(std::int64_t block) const { return owner(block) == rank_; }

    std::int64_t first(std::int64_t block) const { return block * width_; }
    std::int64_t columns(std::int64_t block) const {
        return block + 1 < block_count() ? width_ : padded_ - first(block);
    }
    /// Rows that a block stores, and its leading dimension: from its first column's diagonal to the end.
    std::int64_t rows(std::int64_t block) const { return padded_ - first(block); }
    /// Element (row, column) of a block of this rank. Requires row >= first(block).
    T* at(std::int64_t row, std::int64_t column) {
        const std::int64_t block = block_of(column);
        return blocks_[static_cast<std::size_t>(block)].data() + (column - first(block)) * rows(block) +
               (row - first(block));
    }
    const T* at(std::int64_t row, std::int64_t column) const {
        return const_cast<SymmetricColumns*>(this)->at(row, column);
    }
    std::vector<T>& storage(std::int64_t block) { return blocks_[static_cast<std::size_t>(block)]; }
    const std::vector<T>& storage(std::int64_t block) const {
        return blocks_[static_cast<std::size_t>(block)];
    }
    /// Copies the lower triangle of every diagonal block to its upper one.
    void mirror_diagonal_blocks();

private:
    const mpi::Communicator* comm_;
    int rank_;
    int ranks_;
    std::int64_t size_;
    std::int64_t padded_;
    std::int64_t width_;
    std::vector<std::vector<T>> blocks_;
};

/// a += p p' for a panel p of padded_size() x columns, column-major, the same on every rank: each rank adds
/// to its own blocks, by matrix products.
template <typename T>
void add_products(SymmetricColumns<T>& a, const std::vector<T>& panel, std::int64_t columns);

/// y += what columns [first, first + band) of the lower triangle give of A x. `strip`: these columns of A,
/// from their first one's diagonal down, padded_size - first numbers each. Shape of x and y: size x any
/// number.
template <typename T>
void add_strip_product(std::vector<T> strip, std::int64_t first, const SmallMatrix& x, SmallMatrix& y);

/// Collective. Throws `Error` on every rank unless all values are finite.
template <typename T>
void require_finite(const SymmetricColumns<T>& matrix);

/// Bytes that the fullest rank holds of such a matrix.
std::int64_t symmetric_columns_bytes(std::int64_t size, int ranks, std::int64_t element_bytes);

}  // namespace eckart::dense
