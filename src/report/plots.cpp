#include "eckart/report/plots.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/report/tables.hpp"
#include "plot_style.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace eckart::report {

namespace fs = std::filesystem;

namespace {

/// Up to about 1200 of 1..last: all of the first, then evenly spaced both in d and in its logarithm, so that
/// neither end of an axis of either kind looks coarse.
std::vector<std::int64_t> thinned(std::int64_t last) {
    constexpr int steps = 600;
    std::set<std::int64_t> chosen;
    for (int i = 0; i <= steps; ++i) {
        const double share = static_cast<double>(i) / steps;
        chosen.insert(static_cast<std::int64_t>(std::round(std::pow(static_cast<double>(last), share))));
        chosen.insert(1 + static_cast<std::int64_t>(std::round(share * static_cast<double>(last - 1))));
    }
    return last < 1 ? std::vector<std::int64_t>{} : std::vector<std::int64_t>(chosen.begin(), chosen.end());
}

/// A label as a title. In gnuplot's single quotes nothing is special but the quote itself: no escape, no
/// command in backticks.
std::string title(const std::string& label) {
    std::string safe;
    for (const char c : label) {
        if (c == '\'') safe += c;
        safe += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    return fmt::format("title '{}' noenhanced", safe);
}

/// A tic at each power of 4 (from 1) up to `last`: 1, 4, ..., 1k, 4k.
std::string dimension_tics(std::int64_t last) {
    std::string tics;
    for (std::int64_t d = 1; d <= last; d *= 4)
        tics += fmt::format("{}\"{}\" {}", tics.empty() ? "" : ", ",
                            d >= 1024 ? fmt::format("{}k", d / 1024) : std::to_string(d), d);
    return tics;
}

// ---- W-error ----------------------------------------------------------------------------------------------

/// Columns: d, value (NaN past the last known), lower, upper.
std::string w_error_data(const Run& run, std::size_t number) {
    const WErrorCurve& curve = run.curve;
    std::set<std::int64_t> dimensions;
    for (const std::int64_t d : thinned(curve.rank_bound())) dimensions.insert(d);
    for (const std::int64_t d : thinned(curve.known())) dimensions.insert(d);
    std::string data = fmt::format("$run{} << EOD\n", number);
    for (const std::int64_t d : dimensions) {
        const WError e = curve.bounds(d);
        const std::string value = d <= curve.known() ? fmt::format("{:.9g}", e.value) : "NaN";
        data += fmt::format("{} {} {:.9g} {:.9g}\n", d, value, e.lower, e.upper);
    }
    return data + "EOD\n";
}

/// Figure 7 of arXiv 2404.07647, read off the picture.
struct PaperCurve {
    const char* name;
    std::array<double, 6> errors;
};
constexpr std::array<int, 6> paper_dimensions{512, 1000, 2000, 5000, 10000, 15000};
constexpr std::array<PaperCurve, 6> paper_curves{{
    {"Llama-2, The Pile", {0.627, 0.549, 0.441, 0.266, 0.048, 0.004}},
    {"Llama-2, WikiText", {0.607, 0.539, 0.445, 0.262, 0.033, 0.002}},
    {"Llama-2, IMDb", {0.582, 0.497, 0.390, 0.205, 0.003, 0.0}},
    {"Pythia, The Pile", {0.638, 0.561, 0.481, 0.335, 0.180, 0.030}},
    {"Pythia, WikiText", {0.627, 0.568, 0.489, 0.343, 0.178, 0.024}},
    {"Pythia, IMDb", {0.578, 0.511, 0.427, 0.283, 0.110, 0.001}},
}};

std::string paper_data() {
    std::string data;
    for (std::size_t c = 0; c < paper_curves.size(); ++c) {
        data += fmt::format("$paper{} << EOD\n", c);
        for (std::size_t i = 0; i < paper_dimensions.size(); ++i)
            data += fmt::format("{} {}\n", paper_dimensions[i], paper_curves[c].errors[i]);
        data += "EOD\n";
    }
    return data;
}

void add_paper_curves(std::vector<std::string>& parts) {
    for (std::size_t c = 0; c < paper_curves.size(); ++c)
        parts.push_back(
            fmt::format("$paper{} using 1:2 with linespoints lc rgb \"{}\" lw 1 dt {} pt {} ps 0.7 "
                        "title \"{} (paper)\"",
                        c, c < 3 ? "#8a8a8a" : "#b79a6b", 2 + c % 3, 5 + 2 * (c % 3), paper_curves[c].name));
}

/// Marks where the curve of a single run falls to one half and one tenth.
std::string level_marks(const Run& run) {
    std::string marks;
    for (const double level : {0.5, 0.1}) {
        const InherentDimension d = run.curve.dimension_at(level);
        if (!d.value) continue;
        marks += fmt::format(
            "set label \"{} at d = {}  \" at {},{} right offset -0.3,-0.6 textcolor rgb "
            "\"#333333\" point pt 7 ps 0.8 lc rgb \"{}\"\n",
            level, grouped(*d.value), *d.value, run.curve.at(*d.value).value, colour(0));
    }
    return marks;
}

// ---- spectrum ---------------------------------------------------------------------------------------------

/// Columns: i, sigma, lower, upper.
std::string spectrum_data(const Run& run, std::size_t number) {
    const svd::Spectrum& s = run.spectrum;
    std::string data = fmt::format("$run{} << EOD\n", number);
    for (const std::int64_t d : thinned(s.size())) {
        const auto i = static_cast<std::size_t>(d - 1);
        if (s.lambda[i] <= 0) break;
        data += fmt::format("{} {:.9g} {:.9g} {:.9g}\n", d, std::sqrt(s.lambda[i]),
                            std::sqrt(std::max(s.lambda_lower[i], 0.0)), std::sqrt(s.lambda_upper[i]));
    }
    return data + "EOD\n";
}

struct Range {
    double low, high;
};

/// From a little below the values that are not noise to a little above. The last hundredth of them may run
/// off the picture: it often falls by decades, and would press all the others to the top.
Range sigma_range(std::span<const Run> runs) {
    double low = INFINITY, high = 0;
    for (const Run& run : runs) {
        const auto& lambda = run.spectrum.lambda;
        const double noise = run.spectrum.floor * run.spectrum.floor;
        const auto clear =
            std::partition_point(lambda.begin(), lambda.end(), [&](double l) { return l > noise; });
        if (clear == lambda.begin()) continue;
        const double last = *std::prev(clear),
                     most = *(lambda.begin() + (clear - lambda.begin() - 1) * 99 / 100);
        low = std::min(low, std::sqrt(std::max(last, most / 100)));
        high = std::max(high, std::sqrt(lambda.front()));
    }
    return high > 0 ? Range{low / 2, high * 2} : Range{0.5, 2};
}

/// sigma^2 = 1, 2, 3: contexts with one successor that no other context shares pile up there.
std::string plateau_lines(Range range, std::int64_t last) {
    std::string lines;
    for (int square = 1; square <= 3; ++square) {
        const double sigma = std::sqrt(square);
        if (sigma < range.low || sigma > range.high) continue;
        lines += fmt::format("set arrow from 1,{0} to {1},{0} nohead lc rgb \"#bbbbbb\" lw 1 dt 3 back\n",
                             sigma, last);
        if (square != 2)
            lines +=
                fmt::format("set label \"σ^2 = {}\" at 1,{} left offset 0.5,{} textcolor rgb \"#888888\"\n",
                            square, sigma, square == 1 ? -0.6 : 0.6);
    }
    return lines;
}

std::string floor_parts(const Run& run, std::size_t number, Range range) {
    const double floor = run.spectrum.floor;
    if (floor < range.low || floor > range.high) return "";
    return fmt::format("{} with lines lc rgb \"{}\" lw 1 dt 2 title \"{}floor: noise below\"", floor,
                       colour(number), number == 0 ? "" : "its ");
}

// ---- gnuplot ----------------------------------------------------------------------------------------------

/// A directory beside the pictures, gone when left.
class DrawingDirectory {
public:
    explicit DrawingDirectory(const fs::path& out) : path_(out / ".drawing.partial") {
        fs::remove_all(path_);
        io::make_directory(path_);
    }
    ~DrawingDirectory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    DrawingDirectory(DrawingDirectory&&) = delete;
    fs::path operator/(const std::string& name) const { return path_ / name; }
    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

/// What a spawned process is to do with its directory and streams; freed when left.
class SpawnActions {
public:
    SpawnActions() { posix_spawn_file_actions_init(&actions_); }
    ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
    SpawnActions(SpawnActions&&) = delete;
    posix_spawn_file_actions_t* get() { return &actions_; }

private:
    posix_spawn_file_actions_t actions_;
};

void run_gnuplot(const fs::path& directory, const std::string& script) {
    SpawnActions actions;
    posix_spawn_file_actions_addchdir_np(actions.get(), directory.c_str());
    posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(actions.get(), STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "log", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    std::string program = "gnuplot", file = script;
    char* arguments[] = {program.data(), file.data(), nullptr};
    pid_t process = 0;
    const int error = posix_spawnp(&process, "gnuplot", actions.get(), nullptr, arguments, environ);
    require(error == 0, "cannot start gnuplot: {} (it draws the pictures; Debian's package is gnuplot-nox)",
            std::strerror(error));
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    const fs::path log = directory / "log";
    std::string text = fs::exists(log) ? io::read_file(log) : "";
    std::replace(text.begin(), text.end(), '\n', ' ');
    throw Error("gnuplot failed on {}: {}", script, text);
}

}  // namespace

Plot w_error_plot(std::span<const Run> runs, const ReportOptions& options) {
    std::int64_t last = 2;
    std::string data = options.paper_curves ? paper_data() : "";
    std::vector<std::string> parts;
    if (options.paper_curves) add_paper_curves(parts);
    for (std::size_t r = 0; r < runs.size(); ++r) {
        last = std::max({last, runs[r].curve.rank_bound(),
                         options.paper_curves ? std::int64_t{paper_dimensions.back()} : 0});
        data += w_error_data(runs[r], r);
        parts.push_back(
            fmt::format("$run{} using 1:3:4 with filledcurves fc rgb \"{}\" notitle", r, colour(r)));
    }
    for (std::size_t r = 0; r < runs.size(); ++r)
        parts.push_back(fmt::format("$run{} using 1:2 with lines lc rgb \"{}\" lw 2.2 {}", r, colour(r),
                                    title(runs[r].label)));
    constexpr std::int64_t least_for_logarithm = 64;
    std::string commands = style();
    commands += fmt::format("set xrange [1:{}]\nset yrange [0:1]\nset ytics 0.1\n", last);
    if (last >= least_for_logarithm)
        commands += fmt::format("set logscale x 2\nset xtics ({})\n", dimension_tics(last));
    commands +=
        "set xlabel \"dimension d\" textcolor rgb \"#333333\"\n"
        "set ylabel \"W-error(d) = (Σ_{i>d} σ_i^2)^{1/2} / ||W||_F\" textcolor rgb \"#333333\"\n";
    commands +=
        fmt::format("set key {} bottom left Left reverse\n", runs.size() + parts.size() > 2 ? "on" : "off");
    if (runs.size() == 1 && !options.paper_curves) commands += level_marks(runs.front()) + "set key off\n";
    return {"w_error", data + on_both_terminals("w_error", commands + joined(parts))};
}

Plot spectrum_plot(std::span<const Run> runs) {
    std::int64_t last = 2;
    const Range range = sigma_range(runs);
    std::string data;
    std::vector<std::string> bands, lines;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        last = std::max(last, runs[r].spectrum.size());
        data += spectrum_data(runs[r], r);
        bands.push_back(
            fmt::format("$run{} using 1:3:4 with filledcurves fc rgb \"{}\" notitle", r, colour(r)));
        lines.push_back(fmt::format("$run{} using 1:2 with lines lc rgb \"{}\" lw 2.2 {}", r, colour(r),
                                    title(runs[r].label)));
        if (const std::string floor = floor_parts(runs[r], r, range); !floor.empty()) lines.push_back(floor);
    }
    bands.insert(bands.end(), lines.begin(), lines.end());
    std::string commands = style();
    commands += fmt::format("set logscale xy\nset xrange [1:{}]\nset yrange [{:.6g}:{:.6g}]\n", last,
                            range.low, range.high);
    commands +=
        "set format y \"10^{%T}\"\nset format x \"%.0s%c\"\nset xlabel \"index i\" textcolor rgb "
        "\"#333333\"\n"
        "set ylabel \"singular value σ_i\" textcolor rgb \"#333333\"\n"
        "set key bottom left Left reverse\n";
    const bool uniform =
        std::ranges::all_of(runs, [](const Run& run) { return run.spectrum.row_weight == "uniform"; });
    if (runs.size() == 1 && lines.size() == 1) commands += "set key off\n";
    if (uniform) commands += plateau_lines(range, last);
    return {"spectrum", data + on_both_terminals("spectrum", commands + joined(bands))};
}

void draw(const Plot& plot, const fs::path& out) {
    const DrawingDirectory drawing(out);
    const std::string script = plot.name + ".gnuplot";
    io::write_file(drawing / script, plot.script);
    run_gnuplot(drawing.path(), script);
    for (const std::string& name : {plot.name + ".svg", plot.name + ".png", script}) {
        require(fs::exists(drawing / name) && fs::file_size(drawing / name) > 0, "gnuplot did not draw {}",
                name);
        io::sync_file(drawing / name);
        fs::rename(drawing / name, out / name);
    }
}

}  // namespace eckart::report
