#pragma once

#include "eckart/report/report.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace eckart::report {

/// The dimensions and levels that every table shows, where the run has them.
std::span<const std::int64_t> table_dimensions();
std::span<const double> table_levels();

/// A row of the table of a run's time and memory.
struct StageCost {
    std::string stage;
    std::string step;
    double seconds = 0;
    std::int64_t peak_bytes = 0;
};
std::vector<StageCost> stage_costs(const Run& run);

/// d, sigma_d, W-error, lower, upper for d = 1..K; with several runs, their label first.
std::string w_error_csv(std::span<const Run> runs);
/// The tables for a terminal: W-error, inherent dimension, where the time went.
std::string text_tables(std::span<const Run> runs);

/// 1234567 -> "1,234,567".
std::string grouped(std::int64_t number);
/// "1,234", "1,200 to 1,300" when only bounds are known.
std::string dimension_text(const InherentDimension& dimension);

}  // namespace eckart::report
