#include "eckart/svd/bounds.hpp"

#include "eckart/base/random.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

namespace eckart::svd {
namespace {

using dense::SmallMatrix;

constexpr std::int64_t size = 40, basis = 12;

std::vector<double> local(const SmallMatrix& matrix) {
    return dense::symmetric_eigenvalues(matrix);
}

/// Spectra as real W have them, and some that they do not.
std::vector<double> planted_spectrum(int kind, const CounterRandom& random) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < size; ++i) {
        const auto rank = static_cast<double>(i + 1);
        const std::vector<std::function<double()>> kinds{
            [&] { return 100 / rank; },                                         // slow decay
            [&] { return i < 3 ? 50.0 : std::max(1.0, 3.0 - double(i / 8)); },  // plateaus 3, 2, 1
            [&] { return i < basis ? 10.0 : 1.0; },                             // a gap
            [&] { return i < 8 ? rank : 0.0; },                                 // rank below the basis
            [&] { return random.uniform(static_cast<std::uint64_t>(i), 0, 1); }};
        values.push_back(kinds[static_cast<std::size_t>(kind)]());
    }
    std::sort(values.begin(), values.end(), std::greater<>());
    return values;
}

/// Leading eigenvectors of G = diag(truth) plus noise: a basis that is nearly right.
SmallMatrix noisy_basis(const std::vector<double>& truth, double noise, const CounterRandom& random) {
    SmallMatrix disturbed = dense::diagonal_matrix(truth);
    for (std::int64_t j = 0; j < size; ++j)
        for (std::int64_t i = j; i < size; ++i)
            disturbed.at(i, j) +=
                noise * random.gaussian(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j));
    const SmallMatrix vectors = dense::symmetric_eigen(disturbed).vectors;
    SmallMatrix q(size, basis);
    std::copy_n(vectors.data(), size * basis, q.data());
    return q;
}

struct Case {
    std::vector<double> theta;
    SmallMatrix residual;
    double c;
};

Case projected(const std::vector<double>& truth, SmallMatrix q) {
    const SmallMatrix g = dense::diagonal_matrix(truth);
    const auto ritz = dense::symmetric_eigen(dense::transposed_product(q, dense::product(g, q)));
    q = dense::product(q, ritz.vectors);
    SmallMatrix r = dense::product(g, q);
    for (std::int64_t j = 0; j < basis; ++j)
        for (std::int64_t i = 0; i < size; ++i)
            r.at(i, j) -= ritz.values[static_cast<std::size_t>(j)] * q.at(i, j);
    SmallMatrix p = dense::diagonal_matrix(std::vector<double>(size, 1.0));
    for (std::int64_t j = 0; j < size; ++j)
        for (std::int64_t i = 0; i < size; ++i)
            for (std::int64_t k = 0; k < basis; ++k) p.at(i, j) -= q.at(i, k) * q.at(j, k);
    const double c = dense::symmetric_eigenvalues(dense::product(p, dense::product(g, p))).front();
    return {ritz.values, dense::transposed_product(r, r), c};
}

TEST(Interval, HoldsTheTruthForHundredsOfMatrices) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        const CounterRandom random(seed);
        const int kind = static_cast<int>(seed % 5);
        const std::vector<double> truth = planted_spectrum(kind, random);
        const double noise = std::pow(10.0, -1.0 - static_cast<double>(seed % 6));
        const Case made = projected(truth, noisy_basis(truth, noise, random));
        for (const double looseness : {1.0, 1.02, 1.5}) {
            const double c = looseness * made.c, rounding = 1e-13 * truth.front();
            const EigenvalueBounds bounds =
                eigenvalue_bounds(made.theta, made.residual, c, rounding, basis, local);
            for (std::size_t i = 0; i < made.theta.size(); ++i) {
                EXPECT_LE(bounds.lower[i], truth[i]) << "seed " << seed << ", value " << i;
                EXPECT_GE(bounds.upper[i], truth[i]) << "seed " << seed << ", value " << i;
            }
            EXPECT_GE(bounds.beyond, truth[basis]) << "seed " << seed;
        }
    }
}

TEST(Interval, IsSecondOrderInTheResidualWhereThereIsAGap) {
    const CounterRandom random(7);
    const std::vector<double> truth = planted_spectrum(2, random);
    for (const double noise : {1e-2, 1e-3, 1e-4}) {
        const Case made = projected(truth, noisy_basis(truth, noise, random));
        const EigenvalueBounds bounds = eigenvalue_bounds(made.theta, made.residual, made.c, 0, basis, local);
        for (std::size_t i = 0; i < made.theta.size(); ++i)
            EXPECT_LE(bounds.upper[i] - bounds.lower[i], 200 * noise * noise + 1e-12) << noise;
    }
}

TEST(ProbeFactor, FallsWithPassesAndColumns) {
    EXPECT_LT(probe_factor(20000, 16, 12, 1e-10), 1.15);
    EXPECT_LT(probe_factor(20000, 16, 24, 1e-10), probe_factor(20000, 16, 12, 1e-10));
    EXPECT_LT(probe_factor(20000, 32, 12, 1e-10), probe_factor(20000, 16, 12, 1e-10));
    EXPECT_GT(probe_factor(20000, 16, 12, 1e-20), probe_factor(20000, 16, 12, 1e-10));
    EXPECT_GT(probe_factor(20000, 1, 1, 1e-10), 1e6);
}

}  // namespace
}  // namespace eckart::svd
