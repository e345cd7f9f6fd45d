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
    std::int64_t bytes() const {
        return rows() * static_cast<std::int64_t>(sizeof(std::int64_t)) +
               nonzeros() * static_cast<std::int64_t>(sizeof(std::int32_t) + sizeof(double));
    }
};

/// The rows of a block, column c renumbered to `position[c]` (none may be -1), which is small for frequent
/// columns, in an order that lets neighbours share their rarer columns.
ScaledRows scaled_rows(const MatrixReader& reader, const CsrBlock& block, RowWeight weight,
                       std::span<const std::int32_t> position);

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

/// z[places[r]] += sum_c a_rc x[c] for rows r of a sparse matrix, which have one end more than places.
/// Cost: 2 x columns flops a non-zero, columns numbers of x.
void add_product(std::span<const std::int64_t> indptr, std::span<const std::int32_t> indices,
                 std::span<const double> values, std::span<const std::int32_t> places, const TileRow* x,
                 TileRow* z, TileColumns columns);

}  // namespace eckart::matrix
