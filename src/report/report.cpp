#include "eckart/report/report.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/report/page.hpp"
#include "eckart/report/plots.hpp"
#include "eckart/report/tables.hpp"

#include <set>

namespace eckart::report {

namespace fs = std::filesystem;

namespace {

/// Equal labels become "a", "a (2)", "a (3)".
void make_labels_distinct(std::vector<Run>& runs) {
    std::set<std::string> taken;
    for (Run& run : runs) {
        std::string label = run.label;
        for (int number = 2; !taken.insert(label).second; ++number)
            label = fmt::format("{} ({})", run.label, number);
        run.label = label;
    }
}

/// One run is the object itself; several are in `runs`.
nlohmann::json summary(const std::vector<Run>& runs) {
    if (runs.size() == 1) return summary_of(runs.front());
    nlohmann::json all = {
        {"format", "eckart-summary"}, {"format_version", 1}, {"runs", nlohmann::json::array()}};
    for (const Run& run : runs) all["runs"].push_back(summary_of(run));
    return all;
}

/// The drawn picture as SVG text; empty, with a warning, when it could not be drawn.
std::string drawn(const Plot& plot, const fs::path& out, std::vector<std::string>& warnings) {
    try {
        draw(plot, out);
        return io::read_file(out / (plot.name + ".svg"));
    } catch (const Error& error) {
        warnings.push_back(fmt::format("no {} picture: {}", plot.name, error.what()));
        return "";
    }
}

}  // namespace

Report write_report(std::vector<Run> runs, const fs::path& out, const ReportOptions& options) {
    require(!runs.empty(), "there is no run to report on");
    make_labels_distinct(runs);
    io::make_directory(out);
    Report report{.page = out / "index.html", .text = text_tables(runs), .warnings = {}};
    io::write_file(out / "summary.json", summary(runs).dump(1) + "\n");
    io::write_file(out / "w_error.csv", w_error_csv(runs));
    Pictures pictures;
    pictures.w_error = drawn(w_error_plot(runs, options), out, report.warnings);
    pictures.spectrum = drawn(spectrum_plot(runs), out, report.warnings);
    io::write_file(report.page, html_page(runs, pictures, options));
    return report;
}

}  // namespace eckart::report
