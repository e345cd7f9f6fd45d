#include "eckart/report/scaling.hpp"

#include "eckart/base/error.hpp"
#include "eckart/report/tables.hpp"
#include "plot_style.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace eckart::report {

namespace {

constexpr std::array stages{"matrix", "spectrum", "verify"};

double seconds_of(const Run& run, const std::string& stage) {
    double seconds = 0;
    for (const StageCost& cost : stage_costs(run))
        if (stage.empty() || cost.stage == stage) seconds += cost.seconds;
    return std::max(seconds, 1e-6);
}

/// What the time of a stage is proportional to, all else equal.
double work_of(const Run& run, const std::string& stage) {
    if (stage == "matrix") return static_cast<double>(run.manifest.tokens);
    const auto nonzeros = static_cast<double>(run.manifest.merged_nonzeros);
    if (stage == "verify") return nonzeros;
    const auto columns = static_cast<double>(run.spectrum.columns);
    return run.spectrum.complete ? columns * columns * columns
                                 : nonzeros * static_cast<double>(run.spectrum.size());
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + std::ssize(values) / 2;
    std::nth_element(values.begin(), middle, values.end());
    return values.size() % 2 == 1 ? *middle : (*middle + *std::max_element(values.begin(), middle)) / 2;
}

/// The rows of one stage, or of all together when `stage` is empty: then the work counts as the same.
void add_rows(std::vector<ScalingRow>& rows, std::span<const ScalingPoint> points, const std::string& stage) {
    const std::size_t first = rows.size();
    while (!points.empty()) {
        const ScalingPoint& point = points.front();
        std::vector<double> seconds;
        for (const ScalingPoint& repeat : points)
            if (repeat.units == point.units) seconds.push_back(seconds_of(repeat.run, stage));
        points = points.subspan(seconds.size());
        ScalingRow row{.stage = stage.empty() ? "together" : stage,
                       .units = point.units,
                       .ranks = point.ranks,
                       .cores = point.cores,
                       .repeats = static_cast<int>(seconds.size()),
                       .seconds = median(seconds),
                       .work = stage.empty() ? 1 : work_of(point.run, stage)};
        const ScalingRow& base = rows.size() == first ? row : rows[first];
        row.speedup = (row.work / row.seconds) / (base.work / base.seconds);
        row.efficiency = row.speedup * base.units / row.units;
        rows.push_back(row);
    }
}

std::string number(double value) {
    return fmt::format("{:.2f}", value);
}

}  // namespace

std::vector<ScalingRow> scaling_rows(std::span<const ScalingPoint> points, bool same_corpus) {
    std::vector<ScalingRow> rows;
    for (const char* stage : stages) add_rows(rows, points, stage);
    if (same_corpus) add_rows(rows, points, "");
    return rows;
}

std::string scaling_csv(std::span<const ScalingRow> rows, const std::string& unit) {
    std::string text =
        fmt::format("stage,{},ranks_started,cores,repeats,seconds,work,speedup,ideal,efficiency\n", unit);
    for (const ScalingRow& row : rows)
        text += fmt::format("{},{},{},{},{},{:.6g},{:.6g},{:.4g},{:.4g},{:.4g}\n", row.stage, row.units,
                            row.ranks, row.cores, row.repeats, row.seconds, row.work, row.speedup,
                            row.speedup / row.efficiency, row.efficiency);
    return text;
}

std::string scaling_text(std::span<const ScalingRow> rows, const std::string& unit) {
    std::string text = fmt::format("  {:<10} {:>6} {:>6} {:>10} {:>9} {:>7} {:>11}\n", "stage", unit, "cores",
                                   "seconds", "speed-up", "ideal", "efficiency");
    for (const ScalingRow& row : rows)
        text += fmt::format("  {:<10} {:>6} {:>6} {:>10} {:>9} {:>7} {:>10.0f} %\n", row.stage, row.units,
                            row.cores, number(row.seconds), number(row.speedup),
                            number(row.speedup / row.efficiency), 100 * row.efficiency);
    if (rows.front().repeats > 1) text += fmt::format("seconds are medians of {}\n", rows.front().repeats);
    for (const ScalingRow& row : rows)
        if (row.stage == rows.front().stage && row.ranks > row.cores)
            text +=
                fmt::format("{} {}: {} ranks shared {} cores, so these times are not a measure of speed\n",
                            row.units, unit, row.ranks, row.cores);
    return text;
}

Plot scaling_plot(std::span<const ScalingRow> rows, const std::string& unit) {
    std::string data, tics;
    std::vector<std::string> parts;
    const int first = rows.front().units;
    int last = first;
    double low = 1;
    for (const ScalingRow& row : rows) {
        if (row.units == first) {
            data += fmt::format("{}$stage{} << EOD\n", parts.empty() ? "" : "EOD\n", parts.size());
            parts.push_back(fmt::format(
                "$stage{0} using 1:2 with linespoints pt 7 ps 0.7 lw 2.2 lc rgb \"{1}\" title \"{2}\"",
                parts.size(), colour(parts.size()), row.stage));
        }
        data += fmt::format("{} {:.6g}\n", row.units, row.speedup);
        if (row.stage == rows.front().stage) tics += fmt::format("{}{}", tics.empty() ? "" : ", ", row.units);
        last = std::max(last, row.units);
        low = std::min(low, row.speedup);
    }
    const double ideal = static_cast<double>(last) / first;
    parts.push_back(fmt::format("x / {} with lines dt 2 lw 1.6 lc rgb \"#888888\" title \"ideal\"", first));
    return {"scaling",
            data + "EOD\n" +
                on_both_terminals(
                    "scaling",
                    style() +
                        fmt::format("set logscale xy 2\nset xrange [{}:{}]\nset yrange [{:.4g}:{:.4g}]\n"
                                    "set xtics ({})\nset xlabel \"{}\" textcolor rgb \"#333333\"\n"
                                    "set ylabel \"speed-up in work a second\" textcolor rgb \"#333333\"\n"
                                    "set key top left Left reverse\n",
                                    0.9 * first, 1.1 * last, 0.9 * low, 1.1 * ideal, tics, unit) +
                        joined(parts))};
}

std::string compare_points(std::span<const ScalingPoint> points) {
    const Run& base = points.front().run;
    const double largest = base.spectrum.size() > 0 ? base.spectrum.lambda.front() : 0;
    double most = 0;
    for (const ScalingPoint& point : points) {
        const svd::Spectrum& spectrum = point.run.spectrum;
        require(point.run.manifest.digest == base.manifest.digest,
                "{} has another matrix than {}: digests {} and {}", point.run.label, base.label,
                point.run.manifest.digest.hex(), base.manifest.digest.hex());
        require(spectrum.size() == base.spectrum.size(), "{} has {} values, {} has {}", point.run.label,
                spectrum.size(), base.label, base.spectrum.size());
        for (std::size_t i = 0; i < spectrum.lambda.size(); ++i) {
            const double apart =
                std::abs(spectrum.lambda[i] - base.spectrum.lambda[i]) / std::max(largest, 1e-300);
            const bool overlap = spectrum.lambda_lower[i] <= base.spectrum.lambda_upper[i] &&
                                 base.spectrum.lambda_lower[i] <= spectrum.lambda_upper[i];
            require(apart <= 1e-12 || overlap, "value {} of {} and {} differ by {:.3g} of the largest", i + 1,
                    point.run.label, base.label, apart);
            most = std::max(most, apart);
        }
    }
    return fmt::format("{} points: one digest ({}), squared singular values within {:.2g} of the largest",
                       points.size(), base.manifest.digest.hex(), most);
}

}  // namespace eckart::report
