#pragma once

#include "eckart/report/report.hpp"

#include <span>
#include <string>

namespace eckart::report {

/// The pictures of a page, as SVG text; empty when they could not be drawn.
struct Pictures {
    std::string w_error;
    std::string spectrum;
};

/// One HTML page with style and pictures inline: it opens from disk, prints, and can be sent as one file.
std::string html_page(std::span<const Run> runs, const Pictures& pictures, const ReportOptions& options);

}  // namespace eckart::report
