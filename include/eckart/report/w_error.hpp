#pragma once

#include "eckart/svd/spectrum.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace eckart::report {

/// W-error of one dimension, between bounds that hold where the spectrum's intervals do.
struct WError {
    std::int64_t dimension = 0;
    double value = 0;
    double lower = 0;
    double upper = 0;
};

/// The least dimension whose W-error is at most some level: computed, and no less than `lower`, no more than
/// `upper`. `value` is empty where the computed values do not reach that far down.
struct InherentDimension {
    std::optional<std::int64_t> value;
    std::int64_t lower = 0;
    std::int64_t upper = 0;
};

/// W-error(d) = sqrt(sum_{i>d} sigma_i^2) / ||W||_F for every d, from the values known and the exact total.
///
/// The energy beyond d is bracketed from both ends: by the total less the first d values, which is sharp
/// while much is left, and by the values after d, which is sharp where the total would cancel. Past the last
/// known value K each unknown one is at most lambda_K, there are at most min(columns, contexts) in all, and
/// they descend, so that among what is left after K a first few hold no less than their share.
class WErrorCurve {
public:
    explicit WErrorCurve(const svd::Spectrum& spectrum);

    /// K: `value` is computed for 0..K.
    std::int64_t known() const { return static_cast<std::int64_t>(head_lower_.size()) - 1; }
    /// The most values that can differ from zero.
    std::int64_t rank_bound() const { return rank_; }
    /// Requires 0 <= d <= known().
    WError at(std::int64_t d) const;
    /// Bounds for any d >= 0; past `known()` the value is the upper one.
    WError bounds(std::int64_t d) const;
    InherentDimension dimension_at(double level) const;

private:
    struct Energy {
        double lower, value, upper;
    };
    Energy beyond(std::int64_t d) const;

    double total_ = 0;
    std::int64_t rank_ = 0;
    double last_upper_ = 0;  ///< bound of every value past K
    bool complete_ = false;
    // Sums over the first d values (head) and over the values d+1..K (tail), d = 0..K.
    std::vector<double> head_lower_, head_, head_upper_;
    std::vector<double> tail_lower_, tail_, tail_upper_;
};

}  // namespace eckart::report
