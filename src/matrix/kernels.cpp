// Products of sparse rows, compiled for every instruction set and chosen when the program runs.
// Sums of a group of columns are an array of vectors, which SVE does not have.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "../src/matrix/kernels.cpp"  // seen from include/
#include "eckart/matrix/kernels.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace eckart::matrix::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<double, 8>;
using Vector = hn::Vec<Tag>;

/// A number of columns that is known when this is compiled, so that their sums stay in registers.
template <int vectors>
struct Group {
    static constexpr Tag tag{};
    static std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(tag)); }

    static HWY_INLINE void Load(const double* from, Vector* sums) {
        for (int k = 0; k < vectors; ++k) sums[k] = hn::Load(tag, from + k * lanes());
    }
    static HWY_INLINE void Store(const Vector* sums, double* to) {
        for (int k = 0; k < vectors; ++k) hn::Store(sums[k], tag, to + k * lanes());
    }
    /// sums += a x
    static HWY_INLINE void Gather(double a, const double* x, Vector* sums) {
        const Vector factor = hn::Set(tag, a);
        for (int k = 0; k < vectors; ++k)
            sums[k] = hn::MulAdd(factor, hn::Load(tag, x + k * lanes()), sums[k]);
    }
    /// z += a t
    static HWY_INLINE void Scatter(double a, const Vector* t, double* z) {
        const Vector factor = hn::Set(tag, a);
        for (int k = 0; k < vectors; ++k) {
            double* const to = z + k * lanes();
            hn::Store(hn::MulAdd(factor, t[k], hn::Load(tag, to)), tag, to);
        }
    }
};

template <int vectors>
HWY_ATTR void AddFusedColumns(const ScaledRows& rows, const TileRow* x, TileRow* z, std::int64_t c) {
    using Columns = Group<vectors>;
    const std::int32_t* const indices = rows.indices.data();
    const double* const values = rows.values.data();
    for (std::int64_t row = 0; row < rows.rows(); ++row) {
        const std::int64_t begin = rows.indptr[static_cast<std::size_t>(row)],
                           end = rows.indptr[static_cast<std::size_t>(row) + 1];
        Vector t[vectors];
        for (int k = 0; k < vectors; ++k) t[k] = hn::Zero(Columns::tag);
        for (std::int64_t i = begin; i < end; ++i) Columns::Gather(values[i], x[indices[i]].values + c, t);
        for (std::int64_t i = begin; i < end; ++i) Columns::Scatter(values[i], t, z[indices[i]].values + c);
    }
}

template <int vectors>
HWY_ATTR void AddColumns(const PlacedRows& a, const TileRow* x, TileRow* z, std::int64_t c) {
    using Columns = Group<vectors>;
    const std::int64_t* const indptr = a.indptr.data();
    const std::int32_t *const indices = a.indices.data(), *const places = a.places.data();
    const double* const values = a.values.data();
    for (std::int64_t row = 0; row < a.rows(); ++row) {
        const std::int64_t begin = indptr[row], end = indptr[row + 1];
        double* const to = z[places[row]].values + c;
        Vector sums[vectors];
        Columns::Load(to, sums);
        for (std::int64_t i = begin; i < end; ++i) Columns::Gather(values[i], x[indices[i]].values + c, sums);
        Columns::Store(sums, to);
    }
}

/// Calls `body` for four, two or one vectors of columns at a time, with the first of them.
template <typename Body>
HWY_INLINE void ForColumns(TileColumns columns, const Body& body) {
    const std::int64_t lanes = Group<1>::lanes(), end = columns.first + columns.count;
    std::int64_t c = columns.first;
    for (; c + 4 * lanes <= end; c += 4 * lanes) body(std::integral_constant<int, 4>(), c);
    for (; c + 2 * lanes <= end; c += 2 * lanes) body(std::integral_constant<int, 2>(), c);
    for (; c < end; c += lanes) body(std::integral_constant<int, 1>(), c);
}

HWY_ATTR void AddFusedProduct(const ScaledRows& rows, const TileRow* x, TileRow* z, TileColumns columns) {
    ForColumns(columns, [&](auto vectors, std::int64_t c)
                            HWY_ATTR { AddFusedColumns<decltype(vectors)::value>(rows, x, z, c); });
}

HWY_ATTR void AddProduct(const PlacedRows& a, const TileRow* x, TileRow* z, TileColumns columns) {
    ForColumns(columns, [&](auto vectors, std::int64_t c)
                            HWY_ATTR { AddColumns<decltype(vectors)::value>(a, x, z, c); });
}

}  // namespace eckart::matrix::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eckart::matrix {

HWY_EXPORT(AddFusedProduct);
HWY_EXPORT(AddProduct);

void ScaledRows::append(const ScaledRows& from, std::int64_t row) {
    const auto columns = from.row_indices(row);
    const auto numbers = from.row_values(row);
    indices.insert(indices.end(), columns.begin(), columns.end());
    values.insert(values.end(), numbers.begin(), numbers.end());
    indptr.push_back(nonzeros());
}

/// Positions are by frequency, so the rarest is the largest.
std::vector<std::int64_t> cache_friendly_order(const ScaledRows& rows, std::int64_t first) {
    std::vector<std::pair<std::uint64_t, std::int64_t>> keys;
    keys.reserve(static_cast<std::size_t>(rows.rows() - first));
    for (std::int64_t row = first; row < rows.rows(); ++row) {
        std::uint64_t rarest = 0, next = 0;
        for (const std::int32_t column : rows.row_indices(row)) {
            const auto at = static_cast<std::uint64_t>(column);
            next = std::max(next, std::min(rarest, at));
            rarest = std::max(rarest, at);
        }
        keys.emplace_back(rarest << 32 | next, row);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<std::int64_t> order;
    order.reserve(keys.size());
    for (const auto& key : keys) order.push_back(key.second);
    return order;
}

ScaledRows scaled_rows(const MatrixReader& reader, const CsrBlock& block, RowWeight weight,
                       std::span<const std::int32_t> position) {
    ScaledRows rows;
    rows.indptr.reserve(static_cast<std::size_t>(block.rows()) + 1);
    rows.indices.reserve(block.indices.size());
    rows.values.reserve(block.indices.size());
    for (std::int64_t row = 0; row < block.rows(); ++row) {
        const auto data = block.row_data(row);
        const double scale = reader.row_scale(block, row, weight);
        for (const std::int32_t column : block.row_indices(row))
            rows.indices.push_back(position[static_cast<std::size_t>(column)]);
        for (const std::uint64_t count : data) rows.values.push_back(scale * static_cast<double>(count));
        rows.indptr.push_back(rows.nonzeros());
    }
    return rows;
}

void add_fused_product(const ScaledRows& rows, const TileRow* x, TileRow* z, TileColumns columns) {
    HWY_DYNAMIC_DISPATCH(AddFusedProduct)(rows, x, z, columns);
}

void add_product(const PlacedRows& a, const TileRow* x, TileRow* z, TileColumns columns) {
    HWY_DYNAMIC_DISPATCH(AddProduct)(a, x, z, columns);
}

}  // namespace eckart::matrix
#endif
