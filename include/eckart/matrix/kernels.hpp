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

/// A tile is 16 columns of a panel, row-major: a non-zero of W touches two whole cache lines of it.
inline constexpr std::int64_t tile_width = 16;
struct alignas(64) TileRow {
    double values[tile_width];
};

/// z += A'(A x) for the rows A. Columns of a panel never meet, so tiles can be worked on side by side.
/// Cost: 4 x 16 flops a non-zero; the rows are read once, x and z stay in cache.
void add_fused_product(const ScaledRows& rows, const TileRow* x, TileRow* z);

}  // namespace eckart::matrix
