// What all pictures share: colours, axes, terminals.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace eckart::report {

/// Eight colours that people with any colour vision can tell apart (Okabe and Ito 2008).
inline constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#000000", "#7f7f7f"};

inline const char* colour(std::size_t run) {
    return colours[run % colours.size()];
}

inline std::string style() {
    return R"(set encoding utf8
set border 3 lc rgb "#666666" lw 1
set tics nomirror out scale 0.6 textcolor rgb "#333333"
set grid xtics ytics lc rgb "#e4e4e4" lw 1 lt 1
set key textcolor rgb "#333333" spacing 1.25 samplen 2.2
set style fill transparent solid 0.20 noborder
)";
}

/// Draws the plot commands twice: as SVG and as PNG of twice the size.
inline std::string on_both_terminals(const std::string& name, const std::string& commands) {
    return fmt::format(
        "set terminal svg size 960,600 dynamic enhanced font \"Helvetica,Arial,DejaVu Sans,sans-serif,15\" "
        "background \"#ffffff\"\n"
        "set output \"{0}.svg\"\n{1}"
        "set terminal pngcairo size 1920,1200 enhanced font \"DejaVu Sans,23\" linewidth 2 pointscale 2 "
        "background "
        "\"#ffffff\"\n"
        "set output \"{0}.png\"\nreplot\nset output\n",
        name, commands);
}

inline std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "plot " : ", \\\n     ") + part;
    return text + "\n";
}

}  // namespace eckart::report
