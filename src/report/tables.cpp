#include "eckart/report/tables.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"

#include <algorithm>
#include <array>

namespace eckart::report {

namespace {

using nlohmann::json;

constexpr std::array<std::int64_t, 19> dimensions{1,     16,    64,    128,   256,  512,  768,
                                                  1024,  1536,  2048,  3072,  4096, 5000, 8192,
                                                  10000, 15000, 20000, 30000, 50000};
constexpr std::array<double, 10> levels{0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.01};

std::string key_of(double level) {
    return fmt::format("{}", level);
}

json w_errors(const WErrorCurve& curve) {
    json values = json::object();
    for (const std::int64_t d : dimensions)
        if (d <= curve.known()) values[std::to_string(d)] = curve.at(d).value;
    return values;
}

/// Bounds for every dimension of the table up to the rank, known or not.
json w_error_bounds(const WErrorCurve& curve) {
    json bounds = json::object();
    for (const std::int64_t d : dimensions)
        if (d <= curve.rank_bound())
            bounds[std::to_string(d)] = {curve.bounds(d).lower, curve.bounds(d).upper};
    return bounds;
}

json inherent_dimensions(const WErrorCurve& curve) {
    json found = json::object();
    for (const double level : levels) {
        const InherentDimension d = curve.dimension_at(level);
        found[key_of(level)] = d.value ? json(*d.value) : json();
    }
    return found;
}

json dimension_bounds(const WErrorCurve& curve) {
    json found = json::object();
    for (const double level : levels) {
        const InherentDimension d = curve.dimension_at(level);
        found[key_of(level)] = {d.lower, d.upper};
    }
    return found;
}

/// {seconds, peak_resident_bytes, steps} of each stage.
json stages_of(const Run& run) {
    json stages = json::object();
    for (const StageCost& cost : stage_costs(run)) {
        if (!stages.contains(cost.stage))
            stages[cost.stage] = {{"seconds", 0.0}, {"peak_resident_bytes", 0}, {"steps", json::array()}};
        json& stage = stages[cost.stage];
        stage["seconds"] = stage["seconds"].get<double>() + cost.seconds;
        stage["peak_resident_bytes"] =
            std::max(stage["peak_resident_bytes"].get<std::int64_t>(), cost.peak_bytes);
        stage["steps"].push_back(
            {{"name", cost.step}, {"seconds", cost.seconds}, {"peak_bytes", cost.peak_bytes}});
    }
    return stages;
}

void add_costs(std::vector<StageCost>& costs, const std::string& stage, const json& steps) {
    if (!steps.is_array()) return;
    for (const json& step : steps)
        costs.push_back({stage, step.value("name", ""), step.value("seconds", 0.0),
                         step.value("peak_bytes", std::int64_t{0})});
}

/// Characters, not bytes: labels may hold UTF-8.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) >> 6) != 2; }));
}

/// Columns: the first flush left, the others flush right. The first row is the head.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows)
        for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
    std::string text;
    for (const auto& row : rows) {
        for (std::size_t c = 0; c < row.size(); ++c) {
            const std::string space(widths[c] - width_of(row[c]), ' ');
            text += "  " + (c == 0 ? row[c] + space : space + row[c]);
        }
        text += "\n";
    }
    return text;
}

std::string w_error_table(std::span<const Run> runs) {
    std::vector<std::vector<std::string>> rows{{"d"}};
    for (const Run& run : runs) {
        rows.front().push_back(runs.size() > 1 ? run.label : "W-error(d)");
        if (runs.size() == 1) rows.front().insert(rows.front().end(), {"at least", "at most", "sigma_d"});
    }
    for (const std::int64_t d : dimensions) {
        std::vector<std::string> row{grouped(d)};
        for (const Run& run : runs) {
            const bool known = d <= run.curve.known();
            row.push_back(known ? fmt::format("{:.6f}", run.curve.at(d).value) : "");
            if (runs.size() > 1) continue;
            const WError bounds = run.curve.bounds(d);
            row.push_back(fmt::format("{:.6f}", bounds.lower));
            row.push_back(fmt::format("{:.6f}", bounds.upper));
            row.push_back(known ? fmt::format("{:.6g}", run.spectrum.sigma(d - 1)) : "");
        }
        if (std::any_of(runs.begin(), runs.end(), [&](const Run& run) {
                return d <= (runs.size() > 1 ? run.curve.known() : run.curve.rank_bound());
            }))
            rows.push_back(std::move(row));
    }
    return aligned(rows);
}

std::string dimension_table(std::span<const Run> runs) {
    std::vector<std::vector<std::string>> rows{{"W-error"}};
    for (const Run& run : runs) rows.front().push_back(runs.size() > 1 ? run.label : "least d");
    for (const double level : levels) {
        rows.push_back({key_of(level)});
        for (const Run& run : runs) rows.back().push_back(dimension_text(run.curve.dimension_at(level)));
    }
    return aligned(rows);
}

std::string time_table(const Run& run) {
    std::vector<std::vector<std::string>> rows{{"stage", "seconds", "memory"}};
    for (const StageCost& cost : stage_costs(run))
        rows.push_back({cost.stage + ": " + cost.step, fmt::format("{:.2f}", cost.seconds),
                        format_bytes(static_cast<double>(cost.peak_bytes))});
    return aligned(rows);
}

}  // namespace

std::span<const std::int64_t> table_dimensions() {
    return dimensions;
}
std::span<const double> table_levels() {
    return levels;
}

std::vector<StageCost> stage_costs(const Run& run) {
    std::vector<StageCost> costs;
    add_costs(costs, "matrix", run.manifest.stages);
    add_costs(costs, "spectrum", run.spectrum.stages);
    if (run.verdict.is_object()) add_costs(costs, "verify", run.verdict.value("stages", json::array()));
    return costs;
}

nlohmann::json summary_of(const Run& run) {
    const matrix::Manifest& m = run.manifest;
    const svd::Spectrum& s = run.spectrum;
    const bool verified = run.verdict.is_object();
    return {{"format", "eckart-summary"},
            {"format_version", 1},
            {"label", run.label},
            {"order", m.order},
            {"vocabulary", m.vocabulary},
            {"tokenizer", m.tokenizer},
            {"documents", m.documents},
            {"tokens", m.tokens},
            {"ngrams", m.ngrams},
            {"contexts", m.contexts},
            {"columns", m.columns},
            {"nonzeros", m.nonzeros},
            {"merged_rows", m.merged_rows},
            {"merged_nonzeros", m.merged_nonzeros},
            {"one_hot_contexts", m.one_hot_contexts},
            {"row_weight", s.row_weight},
            {"frobenius_squared", s.frobenius_squared},
            {"method", s.method},
            {"precision", s.precision},
            {"values", s.size()},
            {"complete_spectrum", s.complete},
            {"sigma_1", s.size() > 0 ? json(s.sigma(0)) : json()},
            {"sigma_floor", s.floor},
            {"failure_probability", s.failure_probability},
            {"w_error", w_errors(run.curve)},
            {"w_error_bounds", w_error_bounds(run.curve)},
            {"dimension_at", inherent_dimensions(run.curve)},
            {"dimension_bounds", dimension_bounds(run.curve)},
            {"verified", verified ? json(run.verdict.value("passed", false)) : json()},
            {"matrix_digest", s.matrix_digest},
            {"notes", s.notes},
            {"stages", stages_of(run)},
            {"statistics", m.statistics},
            {"provenance",
             {{"matrix", m.provenance},
              {"spectrum", s.provenance},
              {"verify", verified ? run.verdict.value("provenance", json()) : json()},
              {"recipe", s.recipe}}}};
}

std::string w_error_csv(std::span<const Run> runs) {
    const auto field = [](const std::string& text) {
        if (text.find_first_of(",\"\n") == std::string::npos) return text;
        std::string quoted = "\"";
        for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
        return quoted + "\"";
    };
    std::string csv = runs.size() > 1 ? "run," : "";
    csv += "d,sigma_d,W-error,lower,upper\n";
    for (const Run& run : runs)
        for (std::int64_t d = 1; d <= run.curve.known(); ++d) {
            const WError e = run.curve.at(d);
            if (runs.size() > 1) csv += field(run.label) + ",";
            csv += fmt::format("{},{},{},{},{}\n", d, run.spectrum.sigma(d - 1), e.value, e.lower, e.upper);
        }
    return csv;
}

std::string text_tables(std::span<const Run> runs) {
    std::string text = "W-error(d): what no d-dimensional model can fit, as a share of ||W||_F\n" +
                       w_error_table(runs) + "\nLeast dimension with a W-error of at most\n" +
                       dimension_table(runs);
    for (const Run& run : runs)
        text += fmt::format("\nWhere the time went{}\n{}", runs.size() > 1 ? ": " + run.label : "",
                            time_table(run));
    return text;
}

std::string grouped(std::int64_t number) {
    std::string digits = std::to_string(number);
    const std::size_t first = number < 0 ? 1 : 0;
    for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
    return digits;
}

std::string dimension_text(const InherentDimension& d) {
    if (d.value && d.lower == *d.value && d.upper == *d.value) return grouped(*d.value);
    const std::string range = fmt::format("{} to {}", grouped(d.lower), grouped(d.upper));
    return d.value ? fmt::format("{} ({})", grouped(*d.value), range) : range;
}

}  // namespace eckart::report
