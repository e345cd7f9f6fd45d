#include "eckart/report/w_error.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/random.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include <gtest/gtest.h>

namespace eckart::report {
namespace {

using svd::Spectrum;

/// The first `known` of `truth`, each in an interval of relative half width `width`.
Spectrum spectrum_of(const std::vector<double>& truth, std::size_t known, double width = 0) {
    Spectrum s;
    s.lambda.assign(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(known));
    for (const double value : s.lambda) {
        s.lambda_lower.push_back(value * (1 - width));
        s.lambda_upper.push_back(value * (1 + width));
    }
    s.frobenius_squared = std::accumulate(truth.rbegin(), truth.rend(), 0.0);
    s.columns = s.contexts = static_cast<std::int64_t>(truth.size());
    s.complete = known == truth.size();
    return s;
}

TEST(WErrorTest, OfTheWorkedExample) {
    // W = [[1/2, 1/2], [1, 0]]: sigma^2 = (3/2 +- sqrt(5)/2) / 2
    const double small = (1.5 - std::sqrt(5.0) / 2) / 2;
    const WErrorCurve curve(spectrum_of({1.5 - small, small}, 2));
    EXPECT_EQ(curve.at(0).value, 1);
    EXPECT_NEAR(curve.at(1).value, std::sqrt(small / 1.5), 1e-15);
    EXPECT_EQ(curve.at(2).value, 0);
    EXPECT_EQ(curve.dimension_at(0.9).value, 1);
    EXPECT_EQ(curve.dimension_at(0.01).value, 2);
}

TEST(WErrorTest, OfASmallTailDoesNotCancel) {
    // Beyond d = 1 there are two values of 1e-20: the total does not even see them.
    const WErrorCurve curve(spectrum_of({1, 1e-20, 1e-20}, 3));
    EXPECT_NEAR(curve.at(1).value / std::sqrt(2e-20), 1, 1e-12);
    EXPECT_NEAR(curve.at(1).lower / std::sqrt(2e-20), 1, 1e-12);
    EXPECT_EQ(curve.at(3).value, 0);
    EXPECT_EQ(curve.at(3).upper, 0);
}

TEST(WErrorTest, OfAPartialSpectrumComesFromTheTotal) {
    const WErrorCurve curve(spectrum_of({4, 3, 2, 1}, 2));
    EXPECT_EQ(curve.known(), 2);
    EXPECT_NEAR(curve.at(2).value, std::sqrt(0.3), 1e-15);
    EXPECT_FALSE(curve.dimension_at(0.5).value.has_value());
    EXPECT_THROW(curve.at(3), Error);
    EXPECT_THROW(curve.bounds(-1), Error);
    // Beyond: what is left is 3 in at most two values of at most 3 each, the larger of them at least 3/2.
    EXPECT_EQ(curve.bounds(3).lower, 0);
    EXPECT_NEAR(curve.bounds(3).upper, std::sqrt(0.15), 1e-15);
    EXPECT_EQ(curve.bounds(4).upper, 0);
    EXPECT_EQ(curve.dimension_at(0.5).upper, 3);
}

TEST(WErrorTest, TailAndTotalAgreeWhereBothHold) {
    std::vector<double>
        truth;  // lambda_i = i^-1.4, as text has: a third of the energy lies beyond the first ten
    for (int i = 1; i <= 2000; ++i) truth.push_back(std::pow(i, -1.4));
    const WErrorCurve from_tail(spectrum_of(truth, truth.size())), from_total(spectrum_of(truth, 1000));
    for (std::int64_t d = 0; d <= 1000; ++d) {
        const WError tail = from_tail.at(d), total = from_total.at(d);
        ASSERT_NEAR(total.value / tail.value, 1, 1e-12) << d;
        ASSERT_LE(total.lower, tail.value) << d;
        ASSERT_GE(total.upper, tail.value) << d;
    }
}

TEST(WErrorTest, OfNothing) {
    EXPECT_EQ(WErrorCurve(spectrum_of({}, 0)).at(0).value, 0);
    const WErrorCurve unknown(spectrum_of({1, 1}, 0));
    EXPECT_EQ(unknown.at(0).value, 1);
    EXPECT_EQ(unknown.bounds(1).lower, 0);
    EXPECT_NEAR(unknown.bounds(1).upper, std::sqrt(0.5), 1e-15);
}

TEST(WErrorTest, SharpensIntervalsByOrderAndTotal) {
    Spectrum s = spectrum_of({4, 3, 2, 1}, 2);
    s.lambda_upper = {100, 100};  // no more than 10, and then no more than the 6 that are left
    s.lambda_lower = {0, 3};      // the first is no less than the second
    const WErrorCurve curve(s);
    EXPECT_NEAR(curve.at(1).upper, std::sqrt(0.7), 1e-15);
    EXPECT_NEAR(curve.at(1).lower, std::sqrt(0.3), 1e-15);  // the second is at least 3
}

/// Decays of several kinds, plateaus among them, scaled at random.
std::vector<double> random_decay(const CounterRandom& random, std::uint64_t trial) {
    const auto size = 1 + random.bits(trial, 0) % 60;
    const double power = 3 * random.uniform(trial, 1), scale = std::exp(20 * random.uniform(trial, 2) - 10);
    std::vector<double> values;
    for (std::uint64_t i = 0; i < size; ++i) {
        const double smooth = std::pow(static_cast<double>(i + 1), -power) * random.uniform(trial, 10 + i);
        values.push_back(scale * (trial % 3 == 0 ? std::ceil(smooth * 4) : smooth));
    }
    std::sort(values.begin(), values.end(), std::greater<>());
    return values;
}

TEST(WErrorTest, IntervalsHoldTheTruthOfFiveHundredSpectra) {
    const CounterRandom random(5);
    for (std::uint64_t trial = 0; trial < 500; ++trial) {
        const std::vector<double> truth = random_decay(random, trial);
        const std::size_t known = random.bits(trial, 3) % (truth.size() + 1);
        Spectrum s = spectrum_of(truth, known);
        const double width = trial % 2 == 0 ? 0 : 0.3 * random.uniform(trial, 4);
        for (std::size_t i = 0; i < known; ++i) {
            s.lambda_lower[i] = truth[i] * (1 - width * random.uniform(trial, 200 + i));
            s.lambda_upper[i] = truth[i] * (1 + width * random.uniform(trial, 300 + i));
            s.lambda[i] = truth[i];
        }
        const WErrorCurve curve(s);
        double tail = 0, previous_upper = 0;
        for (auto d = static_cast<std::int64_t>(truth.size()); d >= 0; --d) {
            const double error = std::sqrt(tail / s.frobenius_squared);
            const WError bounds = curve.bounds(d);
            EXPECT_LE(bounds.lower, error * (1 + 1e-14) + 1e-15) << "trial " << trial << " d " << d;
            EXPECT_GE(bounds.upper, error * (1 - 1e-14) - 1e-15) << "trial " << trial << " d " << d;
            EXPECT_LE(bounds.lower, bounds.value);
            EXPECT_LE(bounds.value, bounds.upper);
            EXPECT_GE(bounds.upper, previous_upper - 1e-15);
            previous_upper = bounds.upper;
            if (s.complete || (d <= curve.known() && error > 1e-6)) {
                EXPECT_NEAR(bounds.value, error, 1e-9);
            }
            if (d > 0) tail += truth[static_cast<std::size_t>(d - 1)];
        }
    }
}

TEST(WErrorTest, InherentDimensionsLieBetweenTheirBounds) {
    const CounterRandom random(6);
    for (std::uint64_t trial = 0; trial < 100; ++trial) {
        const std::vector<double> truth = random_decay(random, trial);
        const Spectrum exact = spectrum_of(truth, truth.size());
        const Spectrum partial = spectrum_of(truth, truth.size() / 2, 0.01);
        for (const double level : {0.9, 0.5, 0.1, 0.01}) {
            const auto known = WErrorCurve(exact).dimension_at(level).value;
            const InherentDimension bounds = WErrorCurve(partial).dimension_at(level);
            ASSERT_TRUE(known.has_value());
            EXPECT_LE(bounds.lower, *known) << trial;
            EXPECT_GE(bounds.upper, *known) << trial;
        }
    }
}

}  // namespace
}  // namespace eckart::report
