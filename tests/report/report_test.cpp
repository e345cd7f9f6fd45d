#include "eckart/report/report.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/report/inspect.hpp"
#include "eckart/report/plots.hpp"
#include "eckart/report/tables.hpp"
#include "scratch_directory.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace eckart::report {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// A run of `columns` columns with lambda_i = columns / i, of which the first `known` are known.
Run made_up_run(const std::string& label, std::int64_t columns, std::int64_t known) {
    std::vector<double> lambda;
    for (std::int64_t i = 1; i <= columns; ++i)
        lambda.push_back(static_cast<double>(columns) / static_cast<double>(i));
    svd::Spectrum s;
    s.frobenius_squared = std::accumulate(lambda.rbegin(), lambda.rend(), 0.0);
    lambda.resize(static_cast<std::size_t>(known));
    s.lambda = s.lambda_lower = s.lambda_upper = lambda;
    s.method = known == columns ? "gram" : "randomized";
    s.complete = known == columns;
    s.columns = columns;
    s.contexts = 3 * columns;
    s.matrix_digest = Digest{1, 2}.hex();
    s.stages = {{{"name", "forming"}, {"seconds", 2.5}, {"peak_bytes", 1000}},
                {{"name", "solving"}, {"seconds", 1.5}, {"peak_bytes", 3000}}};
    matrix::Manifest m;
    m.order = 5;
    m.columns = columns;
    m.contexts = 3 * columns;
    m.digest = Digest{1, 2};
    m.tokenizer = {{"kind", "words"}};
    m.statistics = {{"skipped_documents", 7}};
    WErrorCurve curve(s);
    return {
        .label = label, .directory = {}, .manifest = m, .spectrum = s, .verdict = nullptr, .curve = curve};
}

nlohmann::json json_of(const std::filesystem::path& path) {
    return nlohmann::json::parse(io::read_file(path));
}

TEST(ReportTest, OfOneRunHasAllItsParts) {
    ScratchDirectory scratch;
    const Report report = write_report({made_up_run("reviews", 2000, 2000)}, scratch / "report");
    EXPECT_TRUE(report.warnings.empty()) << report.warnings.front();
    for (const char* name : {"summary.json", "w_error.csv", "w_error.svg", "w_error.png", "w_error.gnuplot",
                             "spectrum.svg", "spectrum.png", "spectrum.gnuplot", "index.html"})
        EXPECT_GT(std::filesystem::file_size(scratch / "report" / name), 100) << name;
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch / "report"), {}), 9);
    EXPECT_THAT(report.text, HasSubstr("W-error(d)"));
}

TEST(ReportTest, SummarySaysWhatTheCurveSays) {
    const report::Run run = made_up_run("reviews", 2000, 2000);
    const nlohmann::json summary = summary_of(run);
    for (const char* field : {"tokens", "ngrams", "contexts", "columns", "nonzeros", "merged_rows",
                              "merged_nonzeros", "frobenius_squared", "method", "values", "w_error",
                              "dimension_at", "sigma_floor", "stages", "provenance"})
        EXPECT_TRUE(summary.contains(field)) << field;
    EXPECT_EQ(summary["values"], 2000);
    EXPECT_EQ(summary["w_error"]["512"], run.curve.at(512).value);
    EXPECT_FALSE(summary["w_error"].contains("2048"));
    EXPECT_EQ(summary["dimension_at"]["0.5"], *run.curve.dimension_at(0.5).value);
    EXPECT_EQ(summary["stages"]["spectrum"]["seconds"], 4.0);
    EXPECT_EQ(summary["stages"]["spectrum"]["peak_resident_bytes"], 3000);
    EXPECT_TRUE(summary["verified"].is_null());
}

TEST(ReportTest, SummaryOfALeadingPartSaysWhatItCannotKnow) {
    const nlohmann::json summary = summary_of(made_up_run("reviews", 2000, 100));
    EXPECT_TRUE(summary["w_error"].contains("64"));
    EXPECT_FALSE(summary["w_error"].contains("128"));
    EXPECT_TRUE(summary["w_error_bounds"].contains("1536"));
    EXPECT_TRUE(summary["dimension_at"]["0.01"].is_null());
    EXPECT_GT(summary["dimension_bounds"]["0.01"][0], 100);
}

TEST(ReportTest, CsvHasARowForEachDimension) {
    const std::vector<report::Run> runs{made_up_run("a", 4, 4)};
    const std::string csv = w_error_csv(runs);
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
    EXPECT_EQ(csv.substr(0, csv.find('\n')), "d,sigma_d,W-error,lower,upper");
    EXPECT_THAT(csv, HasSubstr("\n1,2,"));
    EXPECT_THAT(csv, HasSubstr("\n4,1,0,0,0\n"));
}

TEST(ReportTest, OfSeveralRunsIsOneReport) {
    ScratchDirectory scratch;
    const Report report =
        write_report({made_up_run("a, \"b\"", 50, 50), made_up_run("<c>", 500, 30), made_up_run("<c>", 3, 3)},
                     scratch.path(), {.paper_curves = true});
    EXPECT_TRUE(report.warnings.empty()) << report.warnings.front();
    const nlohmann::json summary = json_of(scratch / "summary.json");
    ASSERT_EQ(summary["runs"].size(), 3);
    EXPECT_EQ(summary["runs"][2]["label"], "<c> (2)");
    EXPECT_THAT(io::read_file(scratch / "w_error.csv"), HasSubstr("\n\"a, \"\"b\"\"\",1,"));
    const std::string page = io::read_file(report.page);
    EXPECT_THAT(page, HasSubstr("&lt;c&gt; (2)"));
    EXPECT_THAT(page, Not(HasSubstr("<c>")));
    EXPECT_THAT(page, HasSubstr("2404.07647"));
}

TEST(ReportTest, PageNeedsNothingElse) {
    ScratchDirectory scratch;
    const std::string page = io::read_file(write_report({made_up_run("a", 100, 100)}, scratch.path()).page);
    for (const char* outside : {"<link", "src=\"http", "@import", "<script src"})
        EXPECT_THAT(page, Not(HasSubstr(outside)));
    EXPECT_THAT(page, HasSubstr("<svg"));
    EXPECT_THAT(page, HasSubstr("not verified"));
}

TEST(ReportTest, OfATinyMatrixIsDrawnToo) {
    for (const std::int64_t columns : {0, 1, 2}) {
        ScratchDirectory scratch;
        const Report report = write_report({made_up_run("tiny", columns, columns)}, scratch.path());
        EXPECT_TRUE(report.warnings.empty()) << columns << ": " << report.warnings.front();
    }
}

TEST(ReportTest, LabelsAreTextToGnuplotToo) {
    ScratchDirectory scratch;
    const std::string label = "a_b^c \"d\" {e} \\n `id` 'é'\nf";
    const std::vector<report::Run> runs{made_up_run(label, 30, 30), made_up_run("g", 30, 30)};
    const Report report = write_report(runs, scratch.path());
    EXPECT_TRUE(report.warnings.empty()) << report.warnings.front();
    EXPECT_THAT(io::read_file(scratch / "w_error.svg"), HasSubstr("a_b^c \"d\" {e} \\n `id` 'é' f"));
}

TEST(ReportTest, IsRefusedWithoutRunsOrPlace) {
    ScratchDirectory scratch;
    EXPECT_THROW(write_report({}, scratch.path()), Error);
    EXPECT_THROW(read_run(scratch / "absent"), Error);
    io::write_file(scratch / "file", "");
    EXPECT_THROW(write_report({made_up_run("a", 3, 3)}, scratch / "file"), Error);
}

TEST(TablesTest, NumbersAreGrouped) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1,000");
    EXPECT_EQ(grouped(-1234567), "-1,234,567");
    EXPECT_EQ(dimension_text({5, 5, 5}), "5");
    EXPECT_EQ(dimension_text({1500, 1400, 1600}), "1,500 (1,400 to 1,600)");
    EXPECT_EQ(dimension_text({std::nullopt, 1400, 1600}), "1,400 to 1,600");
}

// ---- inspect ----------------------------------------------------------------------------------------------

TEST(InspectTest, TellsWhatThingsAre) {
    ScratchDirectory scratch;
    const report::Run run = made_up_run("a", 20, 20);
    svd::write_spectrum(scratch / "spectrum.h5", run.spectrum);
    EXPECT_EQ(inspect(scratch / "spectrum.h5")["kind"], "spectrum");
    EXPECT_EQ(inspect(scratch / "spectrum.h5")["values"], 20);
    io::write_file(scratch / "blocks-00000.h5.partial", "xx");
    EXPECT_EQ(inspect(scratch / "blocks-00000.h5.partial")["complete"], false);
    write_report({run}, scratch / "report");
    EXPECT_EQ(inspect(scratch / "report")["kind"], "summary of a report");
    EXPECT_THAT(inspection_text(inspect(scratch / "spectrum.h5")),
                HasSubstr("kind                     spectrum\n"));
}

TEST(InspectTest, RunDirectoryInTheMaking) {
    ScratchDirectory scratch;
    std::filesystem::create_directory(scratch / "matrix");
    const nlohmann::json facts = inspect(scratch.path());
    EXPECT_EQ(facts["kind"], "run directory");
    EXPECT_EQ(facts["complete"], false);
    EXPECT_EQ(facts["matrix"], "not finished");
}

TEST(InspectTest, RefusesWhatIsNotOurs) {
    ScratchDirectory scratch;
    io::write_file(scratch / "a.json", "[1]");
    io::write_file(scratch / "b.json", "{\"format\": \"other\"}");
    io::write_file(scratch / "c.h5", "not HDF5");
    io::write_file(scratch / "d.json", "{\"format\": \"eckart-verdict\"}");
    std::filesystem::create_directory(scratch / "empty");
    for (const char* name : {"a.json", "b.json", "c.h5", "d.json", "empty", "absent"})
        EXPECT_THROW(inspect(scratch / name), Error) << name;
}

}  // namespace
}  // namespace eckart::report
