#pragma once

#include "eckart/matrix/manifest.hpp"
#include "eckart/report/w_error.hpp"
#include "eckart/svd/spectrum.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::report {

/// A finished run, as far as the report needs it.
struct Run {
    std::string label;
    std::filesystem::path directory;
    matrix::Manifest manifest;
    svd::Spectrum spectrum;
    nlohmann::json verdict;  ///< null when the run was not verified
    WErrorCurve curve;
};

/// Reads `matrix/manifest.json`, `spectrum.h5` and, when there, `verdict.json` of a run directory. The label
/// is the directory's name unless one is given. Throws `Error` naming what is missing, damaged, or not of the
/// same matrix.
Run read_run(const std::filesystem::path& directory, const std::string& label = "");

struct ReportOptions {
    bool paper_curves = false;  ///< draw the curves of arXiv 2404.07647, figure 7, beneath
};

struct Report {
    std::filesystem::path page;         ///< OUT/index.html
    std::string text;                   ///< the tables, for a terminal
    std::vector<std::string> warnings;  ///< e.g. that the pictures could not be drawn
};

/// Writes summary.json, w_error.csv, the pictures (.svg, .png and the gnuplot scripts that drew them) and
/// index.html, which opens from disk with everything inline. Several runs share the tables and the pictures;
/// their labels are made distinct. Each file appears whole or not at all.
Report write_report(std::vector<Run> runs, const std::filesystem::path& out,
                    const ReportOptions& options = {});

/// What summary.json says of one run.
nlohmann::json summary_of(const Run& run);

}  // namespace eckart::report
