#pragma once

#include "eckart/report/plots.hpp"
#include "eckart/report/report.hpp"

#include <span>
#include <string>
#include <vector>

namespace eckart::report {

/// One finished run of a scaling study.
struct ScalingPoint {
    Run run;
    int units = 1;  ///< ranks, or nodes
    int ranks = 1;
    int cores = 1;  ///< that the ranks had together
};

/// A stage at a point. Work done by a unit in a second is compared with the first point's, so that the same
/// efficiency serves a fixed corpus (strong) and one that grows with the units (weak).
struct ScalingRow {
    std::string stage;
    int units = 1, ranks = 1, cores = 1;
    int repeats = 1;
    double seconds = 0;  ///< the median of the repeats
    double work = 0;     ///< tokens; columns^3, or non-zeros times values; non-zeros
    double speedup = 1;  ///< in work done a second
    double efficiency = 1;
};
/// `points` in ascending units; those of equal units are repeats of one another. Stage by stage, and last the
/// stages together by their seconds when `same_corpus`.
std::vector<ScalingRow> scaling_rows(std::span<const ScalingPoint> points, bool same_corpus);

std::string scaling_csv(std::span<const ScalingRow> rows, const std::string& unit);
/// The same for a terminal, with a line for each point whose ranks shared cores.
std::string scaling_text(std::span<const ScalingRow> rows, const std::string& unit);
/// Speed-up over units on logarithmic axes, a line a stage, with the ideal line.
Plot scaling_plot(std::span<const ScalingRow> rows, const std::string& unit);

/// Says that all points have the same matrix and the same spectrum. Throws `Error` naming the first that has
/// not: another digest, or values further apart than 1e-12 of the largest, beyond their intervals.
std::string compare_points(std::span<const ScalingPoint> points);

}  // namespace eckart::report
