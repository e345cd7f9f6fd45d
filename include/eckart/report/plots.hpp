#pragma once

#include "eckart/report/report.hpp"

#include <filesystem>
#include <span>
#include <string>

namespace eckart::report {

/// A gnuplot script with its data inside, which draws NAME.svg and NAME.png where it is run.
struct Plot {
    std::string name;
    std::string script;
};

/// W-error over the dimension, with the interval as a band that goes on, without a line, past the last known
/// value. W-error is linear, as it is a share; the dimension is logarithmic, as models' dimensions are.
Plot w_error_plot(std::span<const Run> runs, const ReportOptions& options);
/// The singular values on two logarithmic axes, with the floor below which they are noise.
Plot spectrum_plot(std::span<const Run> runs);

/// Runs gnuplot on the script and leaves NAME.svg, NAME.png and NAME.gnuplot in `out`, each whole.
/// Throws `Error` with gnuplot's own first line when it is not installed or fails.
void draw(const Plot& plot, const std::filesystem::path& out);

}  // namespace eckart::report
