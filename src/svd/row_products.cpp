#include "eckart/svd/row_products.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace eckart::svd {

using matrix::ScaledRows;
using matrix::TileRow;

namespace {

constexpr std::int64_t longest_short = 32;    ///< a row of more non-zeros has too many pairs to be counted
constexpr std::int64_t rows_a_chunk = 2048;   ///< T has 256 bytes a row, and half of the second cache
constexpr std::int64_t columns_a_piece = 64;  ///< of G, so that threads have something to share

/// All rows in one list, the shortest first; the blocks are given back one by one.
ScaledRows by_length(std::vector<ScaledRows> blocks) {
    std::vector<std::int64_t> rows_of, nonzeros_of;  // by length; the last is all that is not short
    rows_of.resize(longest_short + 2), nonzeros_of.resize(longest_short + 2);
    const auto class_of = [](std::int64_t n) {
        return static_cast<std::size_t>(std::min(n, longest_short + 1));
    };
    for (const ScaledRows& block : blocks)
        for (std::int64_t row = 0; row < block.rows(); ++row) {
            const std::int64_t n = block.length(row);
            ++rows_of[class_of(n)], nonzeros_of[class_of(n)] += n;
        }
    ScaledRows all;
    all.indptr.resize(
        static_cast<std::size_t>(std::accumulate(rows_of.begin(), rows_of.end(), std::int64_t{1})));
    all.indices.resize(
        static_cast<std::size_t>(std::accumulate(nonzeros_of.begin(), nonzeros_of.end(), std::int64_t{0})));
    all.values.resize(all.indices.size());
    std::exclusive_scan(rows_of.begin(), rows_of.end(), rows_of.begin(), std::int64_t{0});
    std::exclusive_scan(nonzeros_of.begin(), nonzeros_of.end(), nonzeros_of.begin(), std::int64_t{0});
    for (ScaledRows& block : blocks) {
        for (std::int64_t row = 0; row < block.rows(); ++row) {
            const std::size_t c = class_of(block.length(row));
            std::ranges::copy(block.row_indices(row), all.indices.begin() + nonzeros_of[c]);
            std::ranges::copy(block.row_values(row), all.values.begin() + nonzeros_of[c]);
            nonzeros_of[c] += block.length(row);
            all.indptr[static_cast<std::size_t>(++rows_of[c])] = nonzeros_of[c];
        }
        block = ScaledRows();
    }
    return all;
}

/// The first `count` rows by columns: row c says which rows have column c, and with what.
ScaledRows transposed(const ScaledRows& rows, std::int64_t first, std::int64_t count, std::int64_t columns) {
    const std::int64_t begin = rows.indptr[static_cast<std::size_t>(first)],
                       end = rows.indptr[static_cast<std::size_t>(first + count)];
    ScaledRows result;
    result.indptr.assign(static_cast<std::size_t>(columns) + 2, 0);
    for (std::int64_t i = begin; i < end; ++i)
        ++result.indptr[static_cast<std::size_t>(rows.indices[static_cast<std::size_t>(i)]) + 2];
    std::partial_sum(result.indptr.begin(), result.indptr.end(), result.indptr.begin());
    result.indices.resize(static_cast<std::size_t>(end - begin));
    result.values.resize(static_cast<std::size_t>(end - begin));
    for (std::int64_t row = 0; row < count; ++row) {
        const auto numbers = rows.row_values(first + row);
        std::size_t i = 0;
        for (const std::int32_t column : rows.row_indices(first + row)) {
            const auto at = static_cast<std::size_t>(result.indptr[static_cast<std::size_t>(column) + 1]++);
            result.indices[at] = static_cast<std::int32_t>(row), result.values[at] = numbers[i++];
        }
    }
    result.indptr.pop_back();
    return result;
}

/// The longest rows that are cheaper as pairs: a row's entries in G, which cost one number each, against its
/// non-zeros, which cost two, counted on a sample of G's columns. Rows come by length.
std::int64_t longest_as_pairs(const ScaledRows& rows, const ScaledRows& by_column) {
    constexpr std::int64_t sample = 8;
    std::vector<std::int64_t> entries(longest_short + 1), nonzeros(longest_short + 1);
    std::vector<std::int64_t> seen_by(static_cast<std::size_t>(by_column.rows()), -1);
    for (std::int64_t column = 0; column < by_column.rows(); column += sample)
        for (const std::int32_t row : by_column.row_indices(column)) {
            const auto n = static_cast<std::size_t>(rows.length(row));
            ++nonzeros[n];
            for (const std::int32_t other : rows.row_indices(row)) {
                std::int64_t& last = seen_by[static_cast<std::size_t>(other)];
                if (last != column) ++entries[n], last = column;
            }
        }
    std::int64_t longest = 0;
    while (longest < longest_short && entries[static_cast<std::size_t>(longest) + 1] <=
                                          2 * nonzeros[static_cast<std::size_t>(longest) + 1])
        ++longest;
    return longest;
}

/// Column c of G = A'A, both triangles, for the rows before `end`; sums and their columns are the caller's.
void append_gram_column(ScaledRows& to, const ScaledRows& rows, const ScaledRows& by_column, std::int64_t c,
                        std::int64_t end, std::vector<double>& sums, std::vector<std::int32_t>& met) {
    met.clear();
    const auto numbers = by_column.row_values(c);
    std::size_t i = 0;
    for (const std::int32_t row : by_column.row_indices(c)) {
        if (row >= end) break;  // rows come in order
        const double a = numbers[i++];
        const auto others = rows.row_values(row);
        std::size_t k = 0;
        for (const std::int32_t column : rows.row_indices(row)) {
            double& sum = sums[static_cast<std::size_t>(column)];
            if (sum == 0) met.push_back(column);
            sum += a * others[k++];
        }
    }
    std::sort(met.begin(), met.end());
    for (const std::int32_t column : met) {
        to.indices.push_back(column);
        to.values.push_back(std::exchange(sums[static_cast<std::size_t>(column)], 0.0));
    }
    to.indptr.push_back(to.nonzeros());
}

}  // namespace

RowProducts::RowProducts(std::vector<ScaledRows> blocks, std::int64_t order, int threads) {
    const ScaledRows rows = by_length(std::move(blocks));
    narrow<std::int32_t>(rows.rows());
    std::int64_t shorts = 0;
    while (shorts < rows.rows() && rows.length(shorts) <= longest_short) ++shorts;
    {
        const ScaledRows by_column = transposed(rows, 0, shorts, order);
        const std::int64_t longest = longest_as_pairs(rows, by_column);
        while (shorts > 0 && rows.length(shorts - 1) > longest) --shorts;
        add_pairs(rows, by_column, shorts, threads);
    }
    add_chunks(rows, matrix::cache_friendly_order(rows, shorts), order);
}

/// Rows that are empty are left out.
void RowProducts::Arrays::append(Arrays other) {
    const std::int64_t before = rows.nonzeros();
    for (std::int64_t row = 0; row < other.rows.rows(); ++row) {
        if (other.rows.length(row) == 0) continue;
        places.push_back(other.places[static_cast<std::size_t>(row)]);
        rows.indptr.push_back(before + other.rows.indptr[static_cast<std::size_t>(row) + 1]);
    }
    rows.indices.insert(rows.indices.end(), other.rows.indices.begin(), other.rows.indices.end());
    rows.values.insert(rows.values.end(), other.rows.values.begin(), other.rows.values.end());
}

/// G of the rows before `end`.
void RowProducts::add_pairs(const ScaledRows& rows, const ScaledRows& by_column, std::int64_t end,
                            int threads) {
    const std::int64_t columns = by_column.rows();
    const auto reserved = static_cast<std::size_t>(2 * rows.indptr[static_cast<std::size_t>(end)] + columns);
    pairs_.rows.indices.reserve(reserved), pairs_.rows.values.reserve(reserved);
#pragma omp parallel num_threads(threads)
    {
        std::vector<double> sums(static_cast<std::size_t>(columns));
        std::vector<std::int32_t> met;
#pragma omp for ordered schedule(dynamic)
        for (std::int64_t first = 0; first < columns; first += columns_a_piece) {
            Arrays piece;
            for (std::int64_t c = first; c < std::min(columns, first + columns_a_piece); ++c) {
                append_gram_column(piece.rows, rows, by_column, c, end, sums, met);
                piece.places.push_back(static_cast<std::int32_t>(c));
            }
#pragma omp ordered
            pairs_.append(std::move(piece));
        }
    }
}

/// Rows in the given order.
void RowProducts::add_chunks(const ScaledRows& rows, const std::vector<std::int64_t>& order,
                             std::int64_t columns) {
    const auto count = static_cast<std::int64_t>(order.size());
    std::vector<std::int32_t> all_columns(static_cast<std::size_t>(columns));
    std::iota(all_columns.begin(), all_columns.end(), 0);
    for (std::int64_t first = 0; first < count; first += rows_a_chunk) {
        Arrays chunk;
        for (std::int64_t i = first; i < std::min(count, first + rows_a_chunk); ++i) {
            chunk.rows.append(rows, order[static_cast<std::size_t>(i)]);
            chunk.places.push_back(static_cast<std::int32_t>(i - first));
        }
        transposed_.append({transposed(chunk.rows, 0, chunk.rows.rows(), columns), all_columns});
        rows_.append(std::move(chunk));
        row_ends_.push_back(rows_.rows.rows());
        transposed_ends_.push_back(transposed_.rows.rows());
    }
}

ProductsView RowProducts::view() const {
    return {pairs_.view(), rows_.view(), transposed_.view(), row_ends_, transposed_ends_};
}

std::int64_t RowProducts::most_bytes(std::int64_t rows, std::int64_t nonzeros, std::int64_t order,
                                     int threads) {
    // The rows, and by column; then two entries of G a non-zero, or a chunk and its transpose. Columns have
    // an entry of G's diagonal each, and a chunk a place for each of its columns.
    constexpr std::int64_t entry = sizeof(std::int32_t) + sizeof(double), row = 2 * sizeof(std::int64_t);
    const std::int64_t chunks = rows / rows_a_chunk + 1;
    return nonzeros * 4 * entry + rows * (row + 2 * static_cast<std::int64_t>(sizeof(std::int64_t))) +
           order * (entry + row + threads * static_cast<std::int64_t>(sizeof(double))) +
           threads * rows_a_chunk * static_cast<std::int64_t>(sizeof(TileRow)) +
           std::min(chunks * order, nonzeros) * row;
}

void add_products(const ProductsView& products, const TileRow* x, TileRow* z, matrix::TileColumns columns,
                  ProductScratch& t) {
    matrix::add_product(products.pairs, x, z, columns);
    t.resize(rows_a_chunk);
    std::int64_t row = 0, column = 0;
    for (std::size_t chunk = 0; chunk < products.row_ends.size(); ++chunk) {
        const std::int64_t row_end = products.row_ends[chunk], column_end = products.transposed_ends[chunk];
        std::fill_n(t.begin(), row_end - row, TileRow{});
        matrix::add_product(products.rows.part(row, row_end), x, t.data(), columns);
        matrix::add_product(products.transposed.part(column, column_end), t.data(), z, columns);
        row = row_end, column = column_end;
    }
}

}  // namespace eckart::svd
