#pragma once

#include "eckart/matrix/kernels.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::svd {

/// What `add_products` multiplies with, wherever it lies.
struct ProductsView {
    matrix::PlacedRows pairs;       ///< G of the short rows, both triangles
    matrix::PlacedRows rows;        ///< the longer ones, placed in T
    matrix::PlacedRows transposed;  ///< and by column, chunk after chunk, placed in z
    std::span<const std::int64_t> row_ends, transposed_ends;  ///< of the chunks
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

    ProductsView view() const;
    /// The most bytes held while so many rows and non-zeros are made ready, by so many threads.
    static std::int64_t most_bytes(std::int64_t rows, std::int64_t nonzeros, std::int64_t order, int threads);

private:
    struct Arrays {
        matrix::ScaledRows rows;
        std::vector<std::int32_t> places;

        matrix::PlacedRows view() const { return {rows.indptr, rows.indices, rows.values, places}; }
        void append(Arrays other);
    };
    void add_pairs(const matrix::ScaledRows& rows, const matrix::ScaledRows& by_column, std::int64_t end,
                   int threads);
    void add_chunks(const matrix::ScaledRows& rows, const std::vector<std::int64_t>& order,
                    std::int64_t columns);

    Arrays pairs_, rows_, transposed_;
    std::vector<std::int64_t> row_ends_, transposed_ends_;
};

/// T of a chunk, of one thread; it is made when it is empty.
using ProductScratch = std::vector<matrix::TileRow>;
/// z += G x on columns of a tile.
void add_products(const ProductsView& products, const matrix::TileRow* x, matrix::TileRow* z,
                  matrix::TileColumns columns, ProductScratch& scratch);

}  // namespace eckart::svd
