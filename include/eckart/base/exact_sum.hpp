#pragma once

#include "eckart/base/error.hpp"
#include "eckart/base/wide.hpp"

#include <cmath>
#include <cstdint>

namespace eckart {

/// A sum of non-negative reals that is the same in any order and on any number of ranks: 128-bit fixed point
/// with 64 bits behind the binary point. Each term is rounded once, to 2^-64; the sum may reach 2^64.
class ExactSum {
public:
    ExactSum() = default;
    ExactSum(std::uint64_t whole, std::uint64_t fraction) : whole_(whole), fraction_(fraction) {}

    /// A ratio, cut to 2^-64: e.g. a row's sum(c^2) / total^2. Requires it to be below 2^64.
    static ExactSum ratio(Wide numerator, Wide denominator);

    /// Adds `count` times `term`.
    void add(std::uint64_t count, const ExactSum& term) {
        const Wide scaled = Wide{term.fraction_} * count;
        *this += ExactSum(term.whole_ * count + static_cast<std::uint64_t>(scaled >> 64),
                          static_cast<std::uint64_t>(scaled));
    }

    ExactSum& operator+=(const ExactSum& other) {
        fraction_ += other.fraction_;
        whole_ += other.whole_ + (fraction_ < other.fraction_ ? 1 : 0);
        return *this;
    }
    friend bool operator==(const ExactSum&, const ExactSum&) = default;

    std::uint64_t whole() const { return whole_; }
    std::uint64_t fraction() const { return fraction_; }
    double value() const {
        return static_cast<double>(whole_) + std::ldexp(static_cast<double>(fraction_), -64);
    }

private:
    std::uint64_t whole_ = 0;
    std::uint64_t fraction_ = 0;
};

}  // namespace eckart
