#include "eckart/svd/bounds.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace eckart::svd {

namespace {

/// Theta + E / gap.
dense::SmallMatrix shifted(const std::vector<double>& theta, const dense::SmallMatrix& residual, double gap) {
    dense::SmallMatrix f = residual;
    for (double& value : f.values()) value /= gap;
    for (std::int64_t i = 0; i < f.rows(); ++i) f.at(i, i) += theta[static_cast<std::size_t>(i)];
    return f;
}

/// The g - c to try. The bound of lambda_i is least for g just below it, so the last value wanted and some
/// larger ones have theirs; where that is close to c, or below, so do some above c.
std::vector<double> gaps(const std::vector<double>& theta, double c, std::int64_t wanted) {
    const std::size_t last =
        std::min(static_cast<std::size_t>(std::max<std::int64_t>(wanted, 1)), theta.size()) - 1;
    constexpr double step = 4, near = 0.3;
    const double least = std::max(3e-3 * c, 1e-14 * theta.front() + 1e-300), most = theta.front() - c;
    std::vector<double> result;
    for (double gap = std::max(theta[last] - c, least); gap <= most && result.size() < 6; gap *= step)
        result.push_back(gap);
    for (double gap = std::min(theta[last] - c, near * c) / step; gap > least; gap /= step)
        result.push_back(gap);
    if (result.empty()) result.push_back(least);
    return result;
}

}  // namespace

EigenvalueBounds eigenvalue_bounds(const std::vector<double>& theta, const dense::SmallMatrix& residual,
                                   double c, double rounding, std::int64_t wanted,
                                   const Eigenvalues& eigenvalues) {
    require(residual.rows() == static_cast<std::int64_t>(theta.size()),
            "bounds: {} values, residual of order {}", theta.size(), residual.rows());
    EigenvalueBounds bounds;
    bounds.beyond = c + rounding;
    if (theta.empty()) return bounds;
    // G itself is no larger than ||Theta|| + ||E||^(1/2) or c + that: a first bound, always true.
    double trace = 0;
    for (std::int64_t i = 0; i < residual.rows(); ++i) trace += residual.at(i, i);
    bounds.upper.assign(theta.size(), std::max(theta.front(), c) + std::sqrt(std::max(trace, 0.0)));
    for (const double gap : gaps(theta, c, wanted)) {
        const std::vector<double> f = eigenvalues(shifted(theta, residual, gap));
        for (std::size_t j = 0; j < f.size(); ++j)
            bounds.upper[j] = std::min(bounds.upper[j], std::max(c + gap, f[j]));
    }
    for (std::size_t j = 0; j < theta.size(); ++j) {
        bounds.lower.push_back(std::max(0.0, theta[j] - rounding));
        bounds.upper[j] = std::max(bounds.upper[j], theta[j]) + rounding;
    }
    return bounds;
}

double probe_factor(std::int64_t order, std::int64_t columns, std::int64_t passes,
                    double failure_probability) {
    require(columns > 0 && passes > 0 && failure_probability > 0 && failure_probability < 1,
            "a probe needs columns, passes and a failure probability between 0 and 1");
    const double one = std::pow(failure_probability, -1.0 / static_cast<double>(columns));
    const double needed = std::sqrt(2 * static_cast<double>(order) / std::numbers::pi) * one;
    const double root = std::tanh(std::acosh(std::max(needed, 1.0)) / static_cast<double>(2 * passes - 1));
    return 1 / (1 - root * root);
}

}  // namespace eckart::svd
