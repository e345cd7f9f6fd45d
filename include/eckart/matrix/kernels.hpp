#pragma once

#include "eckart/matrix/csr_block.hpp"
#include "eckart/matrix/matrix_reader.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::matrix {

/// Rows of W ready for G = sum_r a_r a_r': a_r = sqrt(m_r) p_r, so that one number a non-zero says all.
struct ScaledRows {
    std::vector<std::int64_t> indptr{0};
    std::vector<std::int32_t> indices;
    std::vector<double> values;

    std::int64_t rows() const { return static_cast<std::int64_t>(indptr.size()) - 1; }
    std::int64_t nonzeros() const { return static_cast<std::int64_t>(indices.size()); }
    std::int64_t length(std::int64_t row) const {
        return indptr[static_cast<std::size_t>(row) + 1] - indptr[static_cast<std::size_t>(row)];
    }
    std::span<const std::int32_t> row_indices(std::int64_t row) const { return part(indices, row); }
    std::span<const double> row_values(std::int64_t row) const { return part(values, row); }
    void append(const ScaledRows& from, std::int64_t row);

private:
    template <typename T>
    std::span<const T> part(const std::vector<T>& all, std::int64_t row) const {
        return std::span(all).subspan(static_cast<std::size_t>(indptr[static_cast<std::size_t>(row)]),
                                      static_cast<std::size_t>(length(row)));
    }
};

/// The rows of a block, column c renumbered to `position[c]` (none may be -1), which is small for frequent
/// columns.
ScaledRows scaled_rows(const MatrixReader& reader, const CsrBlock& block, RowWeight weight,
                       std::span<const std::int32_t> position);

/// Rows from `first` on by their rarest column, then by the next: what neighbours share stays in cache.
std::vector<std::int64_t> cache_friendly_order(const ScaledRows& rows, std::int64_t first = 0);

/// A tile is 32 columns of a panel, row-major: four cache lines a row, so that what is said of a non-zero
/// once serves many columns, while the rows of frequent columns stay in cache.
inline constexpr std::int64_t tile_width = 32;
struct alignas(64) TileRow {
    double values[tile_width];
};

/// Columns [first, first + count) of a tile; both are multiples of `least_columns`.
struct TileColumns {
    std::int64_t first = 0, count = tile_width;
};
inline constexpr std::int64_t least_columns = 8;

/// z += A'(A x) for the rows A, row after row. Cost: 4 x columns flops a non-zero, 3 x columns numbers of x
/// and z.
void add_fused_product(const ScaledRows& rows, const TileRow* x, TileRow* z, TileColumns columns);

/// A sparse matrix by rows, wherever it lies, and where the product with each row is added. One place a row.
struct PlacedRows {
    std::span<const std::int64_t> indptr;
    std::span<const std::int32_t> indices;
    std::span<const double> values;
    std::span<const std::int32_t> places;

    std::int64_t rows() const { return static_cast<std::int64_t>(places.size()); }
    /// Rows [first, end).
    PlacedRows part(std::int64_t first, std::int64_t end) const {
        const auto from = static_cast<std::size_t>(first), count = static_cast<std::size_t>(end - first);
        return {indptr.subspan(from, count + 1), indices, values, places.subspan(from, count)};
    }
};

/// z[places[r]] += sum_c a_rc x[c]. Cost: 2 x columns flops a non-zero, columns numbers of x.
void add_product(const PlacedRows& a, const TileRow* x, TileRow* z, TileColumns columns);

}  // namespace eckart::matrix
