// The fused product, compiled for every instruction set and chosen when the program runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "../src/matrix/kernels.cpp"  // seen from include/
#include "eckart/matrix/kernels.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace eckart::matrix::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// One row against four vectors' worth of columns at a time: t = sum_j a_j x[j], then z[j] += a_j t.
HWY_ATTR void AddFusedProduct(const ScaledRows& rows, const TileRow* x, TileRow* z) {
    const hn::CappedTag<double, 8> tag;
    const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(tag));
    const std::int32_t* const indices = rows.indices.data();
    const double* const values = rows.values.data();
    const std::int64_t ahead = 24, last = rows.nonzeros() - 1;
    for (std::int64_t row = 0; row < rows.rows(); ++row) {
        const std::int64_t begin = rows.indptr[static_cast<std::size_t>(row)],
                           end = rows.indptr[static_cast<std::size_t>(row) + 1];
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int32_t soon = indices[std::min(i + ahead, last)];
            __builtin_prefetch(x + soon), __builtin_prefetch(x[soon].values + 8);
            __builtin_prefetch(z + soon), __builtin_prefetch(z[soon].values + 8);
        }
        for (std::int64_t c = 0; c < tile_width; c += 2 * lanes) {
            auto t0 = hn::Zero(tag), t1 = hn::Zero(tag);
            for (std::int64_t i = begin; i < end; ++i) {
                const double* const from = x[indices[i]].values + c;
                const auto a = hn::Set(tag, values[i]);
                t0 = hn::MulAdd(a, hn::Load(tag, from), t0);
                t1 = hn::MulAdd(a, hn::Load(tag, from + lanes), t1);
            }
            for (std::int64_t i = begin; i < end; ++i) {
                double* const to = z[indices[i]].values + c;
                const auto a = hn::Set(tag, values[i]);
                hn::Store(hn::MulAdd(a, t0, hn::Load(tag, to)), tag, to);
                hn::Store(hn::MulAdd(a, t1, hn::Load(tag, to + lanes)), tag, to + lanes);
            }
        }
    }
}

}  // namespace eckart::matrix::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eckart::matrix {

HWY_EXPORT(AddFusedProduct);

namespace {

/// Rows by their rarest column, then by the next: what neighbours share stays in cache. Positions are by
/// frequency, so the rarest is the largest.
std::vector<std::int32_t> cache_friendly_order(const CsrBlock& block,
                                               std::span<const std::int32_t> position) {
    std::vector<std::pair<std::uint64_t, std::int32_t>> keys;
    keys.reserve(static_cast<std::size_t>(block.rows()));
    for (std::int64_t row = 0; row < block.rows(); ++row) {
        std::uint64_t first = 0, second = 0;
        for (const std::int32_t column : block.row_indices(row)) {
            const auto at = static_cast<std::uint64_t>(position[static_cast<std::size_t>(column)]);
            second = std::max(second, std::min(first, at));
            first = std::max(first, at);
        }
        keys.emplace_back(first << 32 | second, narrow<std::int32_t>(row));
    }
    std::sort(keys.begin(), keys.end());
    std::vector<std::int32_t> order;
    order.reserve(keys.size());
    for (const auto& key : keys) order.push_back(key.second);
    return order;
}

}  // namespace

ScaledRows scaled_rows(const MatrixReader& reader, const CsrBlock& block, RowWeight weight,
                       std::span<const std::int32_t> position) {
    ScaledRows rows;
    rows.indptr.reserve(static_cast<std::size_t>(block.rows()) + 1);
    rows.indices.reserve(block.indices.size());
    rows.values.reserve(block.indices.size());
    for (const std::int32_t row : cache_friendly_order(block, position)) {
        const auto data = block.row_data(row);
        const double scale = reader.row_scale(block, row, weight);
        for (const std::int32_t column : block.row_indices(row))
            rows.indices.push_back(position[static_cast<std::size_t>(column)]);
        for (const std::uint64_t count : data) rows.values.push_back(scale * static_cast<double>(count));
        rows.indptr.push_back(rows.nonzeros());
    }
    return rows;
}

void add_fused_product(const ScaledRows& rows, const TileRow* x, TileRow* z) {
    HWY_DYNAMIC_DISPATCH(AddFusedProduct)(rows, x, z);
}

}  // namespace eckart::matrix
#endif
