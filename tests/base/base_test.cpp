#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/base/exact_sum.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace eckart {
namespace {

TEST(Narrow, RefusesWhatDoesNotFit) {
    EXPECT_EQ(narrow<std::int32_t>(std::int64_t{-5}), -5);
    EXPECT_THROW(narrow<std::int32_t>(std::int64_t{1} << 31), Error);
    EXPECT_THROW(narrow<std::uint16_t>(-1), Error);
}

TEST(Bytes, AreReadAndShown) {
    EXPECT_EQ(parse_bytes("8GiB"), std::int64_t{8} << 30);
    EXPECT_EQ(parse_bytes("1.5m"), 3 << 19);
    EXPECT_EQ(parse_bytes("300"), 300);
    for (const char* wrong : {"", "GiB", "-1", "0", "5X", "5GX", "1e40T"})
        EXPECT_THROW(parse_bytes(wrong), UsageError) << wrong;
    EXPECT_EQ(format_bytes(3 << 19), "1.50 MiB");
    EXPECT_EQ(format_count(1234567), "1.23 M");
    EXPECT_EQ(format_seconds(75.2), "1m15s");
}

TEST(Plan, NamesEveryPartWhenItDoesNotFit) {
    MemoryPlan plan(1000);
    plan.add("panels", 600).add("blocks", 300);
    EXPECT_NO_THROW(plan.require_fits(""));
    plan.add("buffers", 200);
    try {
        plan.require_fits("use 2 ranks");
        FAIL();
    } catch (const Error& error) {
        for (const char* part : {"panels", "blocks", "buffers", "use 2 ranks"})
            EXPECT_NE(std::string(error.what()).find(part), std::string::npos);
    }
}

TEST(ExactSum, DoesNotDependOnTheOrder) {
    std::vector<int> order(2000);
    std::iota(order.begin(), order.end(), 1);
    const auto sum = [&] {
        ExactSum total;
        for (const int k : order)
            total.add(static_cast<std::uint64_t>(k),
                      ExactSum::ratio(static_cast<Wide>(k) * k, static_cast<Wide>(k + 1) * (k + 2)));
        return total;
    };
    const ExactSum forward = sum();
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    EXPECT_EQ(sum(), forward);
    long double truth = 0;
    for (int k = 1; k <= 2000; ++k) truth += static_cast<long double>(k) * k * k / ((k + 1.0L) * (k + 2));
    EXPECT_NEAR(forward.value(), static_cast<double>(truth), 1e-10);
}

TEST(ExactSum, DividesBeyondSixtyFourBits) {
    ExactSum sum;
    sum.add(3, ExactSum::ratio(Wide{1} << 126, Wide{1} << 127));
    EXPECT_EQ(sum.value(), 1.5);
    sum.add(1, ExactSum::ratio((Wide{1} << 127) / 3, Wide{1} << 127));
    EXPECT_NEAR(sum.value(), 1.5 + 1.0 / 3, 1e-15);
    EXPECT_THROW(ExactSum::ratio(1, 0), Error);
}

TEST(Digest, PiecesAndWholeAgree) {
    EXPECT_EQ(Hasher().add("one ").add("two").digest(), digest_of("one two"));
    EXPECT_NE(digest_of("one two"), digest_of("one  two"));
    EXPECT_EQ(Digest::parse(digest_of("x").hex()), digest_of("x"));
    EXPECT_THROW(Digest::parse("12"), Error);
    EXPECT_THROW(Digest::parse(std::string(32, 'g')), Error);
    Digest sum{0, ~std::uint64_t{0}};
    EXPECT_EQ(sum += (Digest{1, 1}), (Digest{2, 0}));
}

TEST(CounterRandom, IsGaussianAndDependsOnItsPlaceOnly) {
    const CounterRandom random(7);
    EXPECT_EQ(random.gaussian(3, 4), CounterRandom(7).gaussian(3, 4));
    EXPECT_NE(random.gaussian(3, 4), random.gaussian(4, 3));
    EXPECT_NE(random.gaussian(3, 4), CounterRandom(8).gaussian(3, 4));
    constexpr int rows = 400, columns = 50;
    double first = 0, second = 0, fourth = 0, neighbours = 0;
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) {
            const double x = random.gaussian(i, j);
            first += x, second += x * x, fourth += x * x * x * x, neighbours += x * random.gaussian(i, j + 1);
        }
    constexpr double n = rows * columns;
    EXPECT_NEAR(first / n, 0, 5 / std::sqrt(n));
    EXPECT_NEAR(second / n, 1, 5 * std::sqrt(2 / n));
    EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n));
    EXPECT_NEAR(neighbours / n, 0, 5 / std::sqrt(n));
}

}  // namespace
}  // namespace eckart
