#include "eckart/svd/row_products.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/random.hpp"
#include "eckart/svd/products_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace eckart::svd {
namespace {

namespace fs = std::filesystem;
using matrix::ScaledRows;
using matrix::TileRow;

constexpr std::int64_t order = 300;

/// Rows of chosen lengths; columns small in number are the popular ones.
ScaledRows rows_of_lengths(std::int64_t count, std::int64_t shortest, std::int64_t longest,
                           std::uint64_t seed) {
    const CounterRandom random(seed);
    ScaledRows rows;
    for (std::int64_t r = 0; r < count; ++r) {
        const auto row = static_cast<std::uint64_t>(r);
        const double share = random.uniform(row, 0, 1);
        const auto length =
            shortest + static_cast<std::int64_t>(share * static_cast<double>(longest - shortest + 1));
        std::set<std::int32_t> columns;
        for (std::uint64_t k = 0; static_cast<std::int64_t>(columns.size()) < std::min(length, order); ++k)
            columns.insert(static_cast<std::int32_t>(order * std::pow(random.uniform(row, k, 2), 2)));
        for (const std::int32_t column : columns) {
            rows.indices.push_back(column);
            rows.values.push_back(0.1 + random.uniform(row, static_cast<std::uint64_t>(column), 3));
        }
        rows.indptr.push_back(rows.nonzeros());
    }
    return rows;
}

std::vector<ScaledRows> some_blocks() {
    return {rows_of_lengths(3000, 2, 6, 1), rows_of_lengths(2600, 20, 60, 2), ScaledRows(),
            rows_of_lengths(5, 250, 300, 3)};
}

std::vector<TileRow> some_panel() {
    const CounterRandom random(9);
    std::vector<TileRow> x(order);
    for (std::uint64_t i = 0; i < x.size(); ++i)
        for (std::uint64_t j = 0; j < matrix::tile_width; ++j) x[i].values[j] = random.gaussian(i, j);
    return x;
}

/// Row after row.
std::vector<TileRow> product_of(const std::vector<ScaledRows>& blocks, const std::vector<TileRow>& x) {
    std::vector<TileRow> z(order);
    for (const ScaledRows& rows : blocks)
        for (std::size_t row = 0; row + 1 < rows.indptr.size(); ++row)
            for (std::int64_t j = 0; j < matrix::tile_width; ++j) {
                double t = 0;
                for (auto i = static_cast<std::size_t>(rows.indptr[row]);
                     static_cast<std::int64_t>(i) < rows.indptr[row + 1]; ++i)
                    t += rows.values[i] * x[static_cast<std::size_t>(rows.indices[i])].values[j];
                for (auto i = static_cast<std::size_t>(rows.indptr[row]);
                     static_cast<std::int64_t>(i) < rows.indptr[row + 1]; ++i)
                    z[static_cast<std::size_t>(rows.indices[i])].values[j] += rows.values[i] * t;
            }
    return z;
}

/// Columns before `first` and from `end` on are untouched.
void expect_close(const std::vector<TileRow>& found, const std::vector<TileRow>& wanted,
                  std::int64_t first = 0, std::int64_t end = matrix::tile_width) {
    double largest = 0;
    for (const TileRow& row : wanted)
        for (const double value : row.values) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < wanted.size(); ++i)
        for (std::int64_t j = 0; j < matrix::tile_width; ++j)
            ASSERT_NEAR(found[i].values[j], j < first || j >= end ? 0 : wanted[i].values[j], 1e-13 * largest)
                << i << " " << j;
}

TEST(RowProducts, MultiplyAsTheRowsDo) {
    const std::vector<TileRow> x = some_panel(), wanted = product_of(some_blocks(), x);
    for (const int threads : {1, 3}) {
        const RowProducts products(some_blocks(), order, threads);
        const ProductsView view = products.view();
        EXPECT_FALSE(view.pairs.places.empty());
        EXPECT_GE(view.row_ends.size(), 2U);  // chunks
        ProductScratch scratch;
        for (std::int64_t first = 0; first < matrix::tile_width; first += matrix::least_columns)
            for (std::int64_t count = matrix::least_columns; first + count <= matrix::tile_width;
                 count += matrix::least_columns) {
                std::vector<TileRow> z(order);
                add_products(view, x.data(), z.data(), {first, count}, scratch);
                expect_close(z, wanted, first, first + count);
            }
    }
}

TEST(RowProducts, RowsAsTheyAreGiveTheSame) {
    const std::vector<TileRow> x = some_panel();
    std::vector<TileRow> z(order);
    for (const ScaledRows& rows : some_blocks()) matrix::add_fused_product(rows, x.data(), z.data(), {});
    expect_close(z, product_of(some_blocks(), x));
}

TEST(RowProducts, HaveAtMostTwoEntriesANonzeroAndADiagonal) {
    for (const auto& [shortest, longest] : {std::pair{2, 2}, std::pair{2, 40}, std::pair{250, 300}}) {
        const ScaledRows rows = rows_of_lengths(3000, shortest, longest, 5);
        const std::int64_t nonzeros = rows.nonzeros();
        const RowProducts products({rows}, order, 1);
        const ProductsView view = products.view();
        const auto entries = static_cast<std::int64_t>(view.pairs.values.size() + view.rows.values.size() +
                                                       view.transposed.values.size());
        EXPECT_LE(entries, 2 * nonzeros + order + nonzeros / 8);  // the last, because a sample decides
    }
    const RowProducts none({}, order, 2);
    std::vector<TileRow> z(order);
    ProductScratch scratch;
    add_products(none.view(), some_panel().data(), z.data(), {}, scratch);
    expect_close(z, std::vector<TileRow>(order));
}

int scratch_file() {
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (fs::read_symlink(entry.path(), gone).string().find("eckart-products") != std::string::npos)
            return std::stoi(entry.path().filename());
    }
    return -1;
}

TEST(ProductsFile, GivesBatchesBackPassAfterPassAndLeavesNothingBehind) {
    const fs::path directory = fs::temp_directory_path() / fmt::format("eckart-products-test.{}", ::getpid());
    fs::create_directories(directory);
    const std::vector<TileRow> x = some_panel(), wanted = product_of(some_blocks(), x);
    {
        ProductsFile file(directory);
        for (ScaledRows& rows : some_blocks()) file.append(RowProducts({std::move(rows)}, order, 1).view());
        EXPECT_TRUE(fs::is_empty(directory));
        ProductScratch scratch;
        const auto pass = [&] {
            std::vector<TileRow> z(order);
            file.for_each(
                [&](const ProductsView& view) { add_products(view, x.data(), z.data(), {}, scratch); });
            return z;
        };
        for (int i = 0; i < 3; ++i) expect_close(pass(), wanted);

        const int descriptor = scratch_file();
        ASSERT_GE(descriptor, 0);
        const off_t middle = ::lseek(descriptor, 0, SEEK_END) / 2;
        char byte = 0;
        ASSERT_EQ(::pread(descriptor, &byte, 1, middle), 1);
        byte = static_cast<char>(byte ^ 4);
        ASSERT_EQ(::pwrite(descriptor, &byte, 1, middle), 1);
        try {
            pass();
            ADD_FAILURE() << "a flipped bit was multiplied";
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr("eckart-products"));
            EXPECT_THAT(error.what(), testing::HasSubstr("damaged"));
        }
    }
    fs::remove_all(directory);
}

}  // namespace
}  // namespace eckart::svd
