#pragma once

#include "eckart/matrix/kernels.hpp"

#include <cstdint>
#include <vector>

namespace eckart::svd {

/// Rows of a sparse matrix and where the product with each is added.
struct PlacedRows {
    matrix::ScaledRows rows;
    std::vector<std::int32_t> places;
};

/// G = sum_r a_r a_r' of many rows, ready to be multiplied often.
///
/// The row as it is costs three numbers of x and z a non-zero and column (t = a'x gathers one; z += a t reads
/// and writes one), and those numbers, from cache, are what a product waits for. Here it is one an entry:
///
/// - short rows meet in the same pairs of columns again and again: they are summed into a sparse symmetric
///   matrix, whose row c gathers z_c = sum_b g_cb x_b. Up to what length that pays is counted.
/// - longer rows go in chunks as T = A x, z += A'T, both gathering, with a T that stays in cache.
class RowProducts {
public:
    /// Rows over columns 0 .. order - 1, which are used up.
    RowProducts(std::vector<matrix::ScaledRows> blocks, std::int64_t order, int threads);

    /// T of a chunk, of one thread.
    using Scratch = std::vector<matrix::TileRow>;
    /// z += G x on columns of a tile of `order` rows. `scratch` is made when it is empty.
    void add(const matrix::TileRow* x, matrix::TileRow* z, matrix::TileColumns columns,
             Scratch& scratch) const;

    std::int64_t entries() const;  ///< numbers of x that `add` gathers for a column
    std::int64_t bytes() const;
    /// The most bytes held while so many rows and non-zeros are made ready, by so many threads.
    static std::int64_t most_bytes(std::int64_t rows, std::int64_t nonzeros, std::int64_t order, int threads);

private:
    struct Chunk {
        PlacedRows rows;        // placed in T
        PlacedRows transposed;  // placed in z
    };
    void add_pairs(const matrix::ScaledRows& rows, const matrix::ScaledRows& by_column, std::int64_t end,
                   int threads);
    void add_chunks(const matrix::ScaledRows& rows, const std::vector<std::int64_t>& order,
                    std::int64_t columns, int threads);

    std::vector<PlacedRows> pairs_;  // G of the short rows, some columns a piece
    std::vector<Chunk> chunks_;      // the longer ones
};

}  // namespace eckart::svd
