#include "eckart/report/w_error.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <ranges>

namespace eckart::report {

namespace {

/// Relative rounding of a total, of a compensated sum and of the one operation that joins them.
constexpr double rounding = 4 * std::numeric_limits<double>::epsilon();

/// A sum that carries what each addition lost (Neumaier 1974).
class CompensatedSum {
public:
    double add(double term) {
        const double next = sum_ + term;
        lost_ += std::abs(sum_) >= std::abs(term) ? (sum_ - next) + term : (term - next) + sum_;
        sum_ = next;
        return sum_ + lost_;
    }

private:
    double sum_ = 0, lost_ = 0;
};

/// Sums over the first d values, d = 0..K.
std::vector<double> heads(const std::vector<double>& values) {
    std::vector<double> sums{0};
    CompensatedSum sum;
    for (const double value : values) sums.push_back(sum.add(value));
    return sums;
}

/// Sums over the values d+1..K, d = 0..K, smallest first.
std::vector<double> tails(const std::vector<double>& values) {
    std::vector<double> sums{0};
    CompensatedSum sum;
    for (const double value : values | std::views::reverse) sums.push_back(sum.add(value));
    std::reverse(sums.begin(), sums.end());
    return sums;
}

/// Lower bounds sharpened by order: no value is below a later one's bound.
std::vector<double> sharpened_lower(std::vector<double> lower) {
    double later = 0;
    for (double& bound : lower | std::views::reverse) later = bound = std::max(bound, later);
    return lower;
}

/// Upper bounds sharpened by order and by what the values before leave of the total.
std::vector<double> sharpened_upper(std::vector<double> upper, const std::vector<double>& lower,
                                    double total) {
    double before = total;
    CompensatedSum sum;
    double taken = 0;
    for (std::size_t i = 0; i < upper.size(); ++i) {
        const double left = total - taken + rounding * total;
        before = upper[i] = std::max(lower[i], std::min({upper[i], before, left}));
        taken = sum.add(lower[i]);
    }
    return upper;
}

std::size_t index(std::int64_t d) {
    return static_cast<std::size_t>(d);
}

}  // namespace

WErrorCurve::WErrorCurve(const svd::Spectrum& s)
    : total_(s.frobenius_squared),
      rank_(std::max(s.size(), std::min(s.columns, s.contexts))),
      complete_(s.complete) {
    const std::vector<double> lower = sharpened_lower(s.lambda_lower);
    const std::vector<double> upper = sharpened_upper(s.lambda_upper, lower, total_);
    head_lower_ = heads(lower);
    head_ = heads(s.lambda);
    head_upper_ = heads(upper);
    tail_lower_ = tails(lower);
    tail_ = tails(s.lambda);
    tail_upper_ = tails(upper);
    last_upper_ = complete_ ? 0 : upper.empty() ? total_ : upper.back();
}

WErrorCurve::Energy WErrorCurve::beyond(std::int64_t d) const {
    const std::int64_t k = known();
    const double slack = rounding * total_;
    if (d > k) {
        const double lower =
            total_ - head_upper_[index(k)] - static_cast<double>(d - k) * last_upper_ - slack;
        const double share = d >= rank_ ? 0 : static_cast<double>(rank_ - d) / static_cast<double>(rank_ - k);
        const double upper = beyond(k).upper * share;
        return {std::clamp(lower, 0.0, upper), upper, upper};
    }
    const auto i = index(d);
    const double unknown = static_cast<double>(std::max<std::int64_t>(rank_ - k, 0)) * last_upper_;
    const double upper = std::min(total_ - head_lower_[i] + slack,
                                  (tail_upper_[i] + (complete_ ? 0 : unknown)) * (1 + rounding));
    const double lower = std::max(total_ - head_upper_[i] - slack, tail_lower_[i] * (1 - rounding));
    const bool tail_is_sharper =
        complete_ && tail_upper_[i] - tail_lower_[i] <= head_upper_[i] - head_lower_[i] + slack;
    const double value = tail_is_sharper ? tail_[i] : total_ - head_[i];
    const double top = std::max(upper, 0.0), bottom = std::clamp(lower, 0.0, top);
    return {bottom, std::clamp(value, bottom, top), top};
}

WError WErrorCurve::bounds(std::int64_t d) const {
    require(d >= 0, "there is no W-error of dimension {}", d);
    if (total_ <= 0) return {d, 0, 0, 0};
    const Energy energy = beyond(d);
    const auto relative = [&](double e) { return std::min(1.0, std::sqrt(e / total_)); };
    return {d, relative(energy.value), relative(energy.lower), relative(energy.upper)};
}

WError WErrorCurve::at(std::int64_t d) const {
    require(d <= known(), "W-error({}) is not known: the spectrum has {} values", d, known());
    return bounds(d);
}

InherentDimension WErrorCurve::dimension_at(double level) const {
    const auto least = [&](std::int64_t last, double WError::*side) {
        const auto all = std::views::iota(std::int64_t{0}, last + 1);
        return *std::ranges::partition_point(all, [&](std::int64_t d) { return bounds(d).*side > level; });
    };
    InherentDimension found;
    found.lower = least(rank_, &WError::lower);
    found.upper = least(rank_, &WError::upper);
    if (at(known()).value <= level) found.value = least(known(), &WError::value);
    return found;
}

}  // namespace eckart::report
