#include "eckart/report/page.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/report/tables.hpp"
#include "eckart/version.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace eckart::report {

namespace {

using nlohmann::json;

constexpr const char* style = R"css(
:root { --ink: #1c2530; --soft: #5d6b7a; --line: #e3e7ec; --accent: #0072b2; --wash: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 2.2rem 1.4rem 4rem; background: #fff; color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .7rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; }
.lead, .note { color: var(--soft); }
.note { font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.card { background: var(--wash); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .88rem; }
.good { color: #00734f; } .bad { color: #b3261e; font-weight: 600; }
figure { margin: 1rem 0; } figure svg, figure img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; margin: .6rem 0; }
th, td { text-align: right; padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
.words th, .words td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.words td:first-child { white-space: nowrap; }
.columns { display: flex; flex-wrap: wrap; gap: 0 3.5rem; align-items: flex-start; }
.bar { display: inline-block; height: .7rem; background: var(--accent); border-radius: 2px; opacity: .75; min-width: 1px; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--accent); }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto;
      font-size: .82rem; line-height: 1.4; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } figure, table { break-inside: avoid; } }
)css";

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                safe += c;
        }
    return safe;
}

/// A table, its cells already HTML.
class Table {
public:
    /// Figures are set flush right and never broken, words flush left and wrapped.
    enum class Kind { figures, words };
    explicit Table(const std::vector<std::string>& head, Kind kind = Kind::figures) {
        html_ = fmt::format("<div class=\"scroll\"><table{}><thead>",
                            kind == Kind::words ? " class=\"words\"" : "");
        add_row(head, "th");
        html_ += "</thead><tbody>";
    }
    Table& add(const std::vector<std::string>& cells) {
        add_row(cells, "td");
        return *this;
    }
    std::string html() const { return html_ + "</tbody></table></div>\n"; }

private:
    void add_row(const std::vector<std::string>& cells, const char* tag) {
        html_ += "<tr>";
        for (const std::string& cell : cells) html_ += fmt::format("<{0}>{1}</{0}>", tag, cell);
        html_ += "</tr>\n";
    }
    std::string html_;
};

std::string card(const std::string& number, const std::string& meaning) {
    return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span></div>\n", number, meaning);
}

std::string figure(const std::string& svg, const std::string& caption) {
    if (svg.empty()) return "";
    const std::size_t start = svg.find("<svg");
    if (start == std::string::npos) return "";
    return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", svg.substr(start), caption);
}

// ---- the parts of the page --------------------------------------------------------------------------------

std::string verdict_text(const Run& run) {
    if (!run.verdict.is_object()) return "<span class=\"lead\">not verified</span>";
    const std::size_t checks = run.verdict.value("checks", json::array()).size();
    return run.verdict.value("passed", false)
               ? fmt::format("<span class=\"good\">verified: {} checks passed</span>", checks)
               : "<span class=\"bad\">VERIFICATION FAILED: do not use these numbers</span>";
}

/// "5-gram", and "4-token" for its context.
std::string title_of(std::span<const Run> runs) {
    if (runs.size() == 1)
        return fmt::format("{}: the spectrum of its {}-gram matrix", escaped(runs.front().label),
                           runs.front().manifest.order);
    return fmt::format("The spectra of {} n-gram matrices", runs.size());
}

std::string lead_of(const Run& run) {
    const matrix::Manifest& m = run.manifest;
    return fmt::format(
        "<p class=\"lead\">Each of the {} distinct contexts of {} tokens in {} tokens of text is a row: the "
        "probabilities of the token that follows. {}</p>\n",
        grouped(m.contexts), m.order - 1, grouped(m.tokens), verdict_text(run));
}

std::string cards_of(const Run& run) {
    std::string cards = "<div class=\"cards\">\n";
    for (const double level : {0.5, 0.1}) {
        const InherentDimension d = run.curve.dimension_at(level);
        cards += card(dimension_text(d), fmt::format("least dimension with a W‑error of at most {}", level));
    }
    const std::int64_t d = run.curve.known() >= 1024 ? 1024 : std::min<std::int64_t>(run.curve.known(), 16);
    if (d > 0)
        cards +=
            card(fmt::format("{:.4f}", run.curve.at(d).value), fmt::format("W‑error at d = {}", grouped(d)));
    cards += card(fmt::format("{} × {}", grouped(run.manifest.contexts), grouped(run.manifest.columns)),
                  "contexts × tokens that follow one");
    return cards + "</div>\n";
}

std::string w_error_head(const Run& run) {
    return "W-error<br>" + escaped(run.label);
}

std::string w_error_table(std::span<const Run> runs) {
    std::vector<std::string> head{"d"};
    for (const Run& run : runs) head.push_back(runs.size() > 1 ? w_error_head(run) : "W-error(d)");
    if (runs.size() == 1) head.insert(head.end(), {"at least", "at most", "σ<sub>d</sub>"});
    Table table(head);
    for (const std::int64_t d : table_dimensions()) {
        std::vector<std::string> row{grouped(d)};
        bool any = false;
        for (const Run& run : runs) {
            const WError e = run.curve.bounds(d);
            const bool known = d <= run.curve.known();
            any = any || d <= (runs.size() > 1 ? run.curve.known() : run.curve.rank_bound());
            row.push_back(known             ? fmt::format("{:.6f}", e.value)
                          : runs.size() > 1 ? "–"
                                            : "beyond the values");
            if (runs.size() == 1) {
                row.push_back(fmt::format("{:.6f}", e.lower));
                row.push_back(fmt::format("{:.6f}", e.upper));
                row.push_back(known ? fmt::format("{:.5g}", run.spectrum.sigma(d - 1)) : "–");
            }
        }
        if (any) table.add(row);
    }
    return table.html();
}

std::string dimension_table(std::span<const Run> runs) {
    std::vector<std::string> head{"W-error at most"};
    for (const Run& run : runs) head.push_back(runs.size() > 1 ? escaped(run.label) : "least d");
    Table table(head);
    for (const double level : table_levels()) {
        std::vector<std::string> row{fmt::format("{}", level)};
        for (const Run& run : runs) row.push_back(dimension_text(run.curve.dimension_at(level)));
        table.add(row);
    }
    return table.html();
}

/// "words (Unicode Standard Annex 29), vocabulary 16,000, unknown <unk>; nothing added to documents"
std::string tokenizer_text(const json& tokenizer) {
    const auto part = [&](const char* format, const char* key) {
        const std::string value = tokenizer.value(key, "");
        return value.empty() || value == "none" ? "" : fmt::format(fmt::runtime(format), value);
    };
    std::string text = tokenizer.value("kind", "unknown") + part(" ({})", "rule") +
                       fmt::format(", vocabulary {}", grouped(tokenizer.value("vocabulary", 0))) +
                       part(", unknown {}", "unknown");
    if (!tokenizer.contains("document_start")) return text;
    const std::string added =
        part(" {} before each document", "document_start") + part(" {} after each document", "document_end");
    return text + ";" + (added.empty() ? " nothing added to documents" : added);
}

std::string share_text(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? "–"
                      : fmt::format("{} ({:.1f} %)", grouped(part),
                                    100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string interval_text(const svd::Spectrum& s) {
    if (s.failure_probability > 0)
        return fmt::format("hold but for a probability of {:.2g}", s.failure_probability);
    return "certain, rounding included";
}

std::string facts_table(std::span<const Run> runs) {
    std::vector<std::string> head{""};
    for (const Run& run : runs) head.push_back(escaped(run.label));
    Table table(head, Table::Kind::words);
    const auto add = [&](const char* name, auto text_of) {
        std::vector<std::string> row{name};
        for (const Run& run : runs) row.push_back(text_of(run.manifest, run.spectrum));
        table.add(row);
    };
    using M = matrix::Manifest;
    using S = svd::Spectrum;
    add("documents", [](const M& m, const S&) { return grouped(m.documents); });
    add("documents left out as malformed", [](const M& m, const S&) {
        return grouped(m.statistics.value("skipped_documents", std::int64_t{0}));
    });
    add("tokens", [](const M& m, const S&) { return grouped(m.tokens); });
    add("tokenizer", [](const M& m, const S&) { return escaped(tokenizer_text(m.tokenizer)); });
    add("n-grams",
        [](const M& m, const S&) { return fmt::format("{} of {} tokens", grouped(m.ngrams), m.order); });
    add("contexts (rows of W)", [](const M& m, const S&) { return grouped(m.contexts); });
    add("with a single successor",
        [](const M& m, const S&) { return share_text(m.one_hot_contexts, m.contexts); });
    add("columns of W that are not zero", [](const M& m, const S&) { return grouped(m.columns); });
    add("non-zeros of W", [](const M& m, const S&) { return grouped(m.nonzeros); });
    add("distinct rows", [](const M& m, const S&) { return share_text(m.merged_rows, m.contexts); });
    add("non-zeros of those", [](const M& m, const S&) { return share_text(m.merged_nonzeros, m.nonzeros); });
    add("weight of a context",
        [](const M&, const S& s) { return s.row_weight == "count" ? "its share of the n-grams" : "1"; });
    add("||W||<sub>F</sub><sup>2</sup>",
        [](const M&, const S& s) { return fmt::format("{:.12g}", s.frobenius_squared); });
    add("method", [](const M&, const S& s) {
        return fmt::format("{}, {} precision", escaped(s.method), escaped(s.precision));
    });
    add("singular values", [](const M&, const S& s) {
        return fmt::format("{}{}", grouped(s.size()), s.complete ? ", all of them" : ", the leading ones");
    });
    add("noise below σ =", [](const M&, const S& s) { return fmt::format("{:.3g}", s.floor); });
    add("intervals", [](const M&, const S& s) { return interval_text(s); });
    return table.html();
}

std::string costs_of(const Run& run) {
    const std::vector<StageCost> costs = stage_costs(run);
    double most = 0, total = 0;
    for (const StageCost& cost : costs) {
        most = std::max(most, cost.seconds);
        total += cost.seconds;
    }
    Table table({"step", "seconds", "peak memory", ""});
    for (const StageCost& cost : costs)
        table.add({escaped(cost.stage + ": " + cost.step), fmt::format("{:.2f}", cost.seconds),
                   format_bytes(static_cast<double>(cost.peak_bytes)),
                   fmt::format("<span class=\"bar\" style=\"width:{:.0f}px\"></span>",
                               most > 0 ? 260 * cost.seconds / most : 0.0)});
    table.add({"all", fmt::format("{:.2f}", total), "", ""});
    return table.html();
}

std::string checks_of(const Run& run) {
    if (!run.verdict.is_object())
        return "<p>This run was not verified: <code>eckart-verify</code> has left no verdict.</p>\n";
    Table table({"", "check", "found"}, Table::Kind::words);
    for (const json& check : run.verdict.value("checks", json::array()))
        table.add(
            {check.value("passed", false) ? "<span class=\"good\">✓</span>" : "<span class=\"bad\">✗</span>",
             escaped(check.value("name", "")), escaped(check.value("found", ""))});
    return table.html();
}

std::string notes_of(const Run& run) {
    std::string notes;
    for (const std::string& note : run.spectrum.notes) notes += "<li>" + escaped(note) + "</li>";
    return notes.empty() ? "" : "<ul class=\"note\">" + notes + "</ul>\n";
}

/// A run's own sections; under its label when there are several.
std::string details_of(const Run& run, bool labelled) {
    const std::string of = labelled ? ": " + escaped(run.label) : "";
    const json provenance = {
        {"matrix", run.manifest.provenance},           {"matrix recipe", run.manifest.recipe},
        {"matrix digest", run.spectrum.matrix_digest}, {"spectrum", run.spectrum.provenance},
        {"spectrum recipe", run.spectrum.recipe},      {"statistics", run.manifest.statistics}};
    return fmt::format(
        "<h2>Where the time and the memory went{0}</h2>\n{1}"
        "<p class=\"note\">Memory is the peak of a rank, the first one's where ranks differ.</p>\n"
        "<h2>Checks{0}</h2>\n<p>Made by a program that shares no solver code with the one that computed the "
        "spectrum.</p>\n{2}<h2>Provenance{0}</h2>\n{3}"
        "<details><summary>Programs, commands, inputs' digests, options</summary><pre>{4}</pre></details>\n",
        of, costs_of(run), checks_of(run), notes_of(run), escaped(provenance.dump(2)));
}

constexpr const char* how_to_read = R"html(
<p><b>W</b> has a row for each distinct context of n − 1 tokens and a column for each token; a row holds the observed
probabilities of the next token. A language model whose last layer has dimension d can only produce logits of rank d;
<b>W-error(d)</b> = (Σ<sub>i&gt;d</sub> σ<sub>i</sub><sup>2</sup>)<sup>1/2</sup> / ||W||<sub>F</sub> is the least relative error with
which a matrix of rank d can stand for W (Eckart and Young 1936, Mirsky 1960). Where the curve is still high at a model's
dimension, its last layer is a bottleneck (Godey, de la Clergerie and Sagot 2024).</p>
<p><b>The band</b> (columns “at least” and “at most”) is an interval that holds the true value. A full spectrum has one
that is only rounding. A leading part has a wider one, since its values can be a little too low; to the right of its
last value no curve is drawn, only the band, from what the counted total ||W||<sub>F</sub><sup>2</sup> leaves over.</p>
<p><b>Least dimension</b> is the smallest d whose W-error is at most the level; in brackets, or alone where the values do
not reach, its bounds.</p>
<p><b>Plateaus</b> of σ<sub>i</sub><sup>2</sup> at 1, 2, 3, … are tokens that follow 1, 2, 3, … contexts which have no other successor
and share nothing with the rest: rare words. They are what makes W-error so slow to fall.</p>
)html";

constexpr const char* paper_source =
    " Grey and brown: figure 7 of Godey, de la Clergerie and Sagot (2024, arXiv 2404.07647), read off the "
    "picture to "
    "about "
    "±0.005.";

}  // namespace

std::string html_page(std::span<const Run> runs, const Pictures& pictures, const ReportOptions& options) {
    const bool several = runs.size() > 1;
    std::string page = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n"
        "<style>{1}</style></head>\n<body>\n<h1>{0}</h1>\n",
        title_of(runs), style);
    if (several)
        for (const Run& run : runs)
            page += fmt::format("<p><b>{}</b>: {}</p>\n", escaped(run.label), verdict_text(run));
    else
        page += lead_of(runs.front()) + cards_of(runs.front());
    page += figure(
        pictures.w_error,
        fmt::format(
            "W-error over the dimension. A band, where it is wider than the line, holds the true curve.{}",
            options.paper_curves ? paper_source : ""));
    page += "<div class=\"columns\"><div><h2>W-error</h2>\n" + w_error_table(runs) +
            "</div><div><h2>Inherent dimension</h2>\n" + dimension_table(runs) + "</div></div>\n";
    page +=
        "<p class=\"note\">Every d: <a href=\"w_error.csv\">w_error.csv</a>. All numbers for programs: <a "
        "href=\"summary.json\">summary.json</a>.</p>\n";
    page += "<h2>Singular values</h2>\n" +
            figure(pictures.spectrum,
                   "Dotted: σ<sup>2</sup> = 1, 2, 3, where tokens of single-successor contexts pile "
                   "up. Values below a floor are rounding noise.");
    page += "<h2>What was measured</h2>\n" + facts_table(runs) + "<h2>How to read it</h2>\n" + how_to_read;
    for (const Run& run : runs) page += details_of(run, several);
    return page + fmt::format("<footer>Eckart {}, {}</footer>\n</body></html>\n", version, utc_now());
}

}  // namespace eckart::report
