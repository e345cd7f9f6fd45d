#include "eckart/base/error.hpp"
#include "eckart/driver/launcher.hpp"
#include "eckart/driver/plan.hpp"
#include "eckart/driver/run_directory.hpp"
#include "eckart/driver/slurm.hpp"
#include "eckart/driver/status.hpp"
#include "eckart/matrix/forecast.hpp"
#include "scratch_directory.hpp"

#include <fstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace eckart::driver {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

RunOptions parsed(std::vector<const char*> words) {
    words.insert(words.begin(), "run");
    return run_options_of(parse_command(static_cast<int>(words.size()), words.data(), "", "", run_options(),
                                        corpus_positional()));
}

/// Ends, so that only what was written is there.
RunDirectory made(const ScratchDirectory& scratch) {
    const RunDirectory directory(scratch / "run");
    directory.make();
    return directory;
}

TEST(RunOptions, ReachTheStagesTheyBelongTo) {
    const RunOptions options =
        parsed({"/dev/null", "--order=4", "--method=gram", "--memory=1GiB", "--scratch=here"});
    const std::string scratch = "--scratch=" + std::filesystem::absolute("here").string();
    EXPECT_THAT(options.arguments_of(Stage::matrix),
                ElementsAre("/dev/null", "--order=4", scratch, "--memory=1GiB"));
    EXPECT_THAT(options.arguments_of(Stage::spectrum),
                ElementsAre("--method=gram", scratch, "--memory=1GiB"));
    EXPECT_THAT(options.arguments_of(Stage::verify), ElementsAre("--memory=1GiB"));
}

TEST(RunOptions, SurviveTheRecord) {
    const ScratchDirectory scratch;
    const RunDirectory directory = made(scratch);
    directory.save({.options = parsed({"/dev/null", "--separator=0"}), .launch = {{"ranks", 3}}});
    const RunRecord record = directory.load();
    EXPECT_THAT(record.options.corpus, ElementsAre("/dev/null"));
    EXPECT_EQ(record.options.get("separator", ""), "0");
    EXPECT_EQ(record.launch["ranks"], 3);
}

TEST(RunOptions, APatternStaysOne) {
    EXPECT_THAT(parsed({"/dev/nul?"}).corpus, ElementsAre("/dev/nul?"));
    EXPECT_THROW(parsed({"/dev/nothing-so*"}), Error);
}

TEST(RunOptions, RefuseWhatDoesNotExist) {
    EXPECT_THROW(parsed({}), UsageError);
    EXPECT_THROW(parsed({"/nowhere/at/all"}), Error);
    EXPECT_THROW(parsed({"/dev/null", "--ordr=4"}), UsageError);
    EXPECT_THROW(parsed({"/dev/null", "--sample-contexts=1e5,all"}), UsageError);
}

TEST(RunOptions, MakeAConfigurationWithTheDefaultsInForce) {
    const std::string text = parsed({"/dev/null", "--order=4", "--no-checkpoint"}).configuration();
    for (const char* line : {"corpus = /dev/null\n", "order = 4\n", "min-count = 1\n",
                             "no-checkpoint = true\n", "keep-contexts = false\n", "precision = double\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST(Grid, MultipliesWhatCommasSeparate) {
    const std::vector<const char*> words{"sweep",
                                         "/dev/null",
                                         "/dev/zero",
                                         "--order=2,3",
                                         "--tokenizer=words,a.model",
                                         "--sample-contexts=all"};
    const auto grid = grid_of(parse_command(static_cast<int>(words.size()), words.data(), "", "",
                                            run_options(), corpus_positional()));
    ASSERT_EQ(grid.size(), 8);
    EXPECT_EQ(grid.front().name, "null-words-order2");
    EXPECT_EQ(grid.front().options.get("tokenizer", "none"), "none");
    EXPECT_EQ(grid.back().name, "zero-a-order3");
    EXPECT_THAT(grid.back().options.corpus, ElementsAre("/dev/zero"));
    EXPECT_EQ(grid.back().options.get("tokenizer", ""), std::filesystem::absolute("a.model").string());
}

nlohmann::json forecast_of(double ngrams, double columns) {
    matrix::Forecast forecast;
    forecast.tokens = forecast.ngrams = ngrams;
    forecast.contexts = ngrams / 2;
    forecast.columns = forecast.one_hot_rows = columns;
    forecast.merged_rows = ngrams / 20, forecast.merged_nonzeros = ngrams / 5;
    forecast.pairs = 10 * ngrams;
    forecast.record_bytes = 12, forecast.matrix_bytes = 3 * ngrams;
    forecast.fixed_bytes = 2e8;
    forecast.counting_rate = forecast.cutting_rate = forecast.merging_rate = 1e7;
    forecast.disk_rate = 1e9;
    nlohmann::json facts = to_json(forecast);
    facts["counted"] = false;
    return facts;
}

TEST(Plan, RefusesWhatDoesNotFitAndNamesTheNodesThatDo) {
    const nlohmann::json facts = forecast_of(1e9, 100000);
    const RunOptions options = parsed({"/dev/null", "--method=gram"});
    Resources with{.nodes = 1, .ranks_per_node = 2, .memory = std::int64_t{8} << 30};
    const RunPlan one = make_plan(facts, options, with);
    EXPECT_THAT(one.misfit, HasSubstr("the spectrum (gram)"));
    EXPECT_GT(one.least_nodes, 1);
    with.nodes = one.least_nodes;
    EXPECT_EQ(make_plan(facts, options, with).misfit, "");
    --with.nodes;
    EXPECT_NE(make_plan(facts, options, with).misfit, "");
    EXPECT_THAT(one.describe(), HasSubstr("does not fit"));
}

TEST(Plan, TakesTheLeadingValuesWhereAllDoNotFit) {
    const Resources with{.nodes = 1, .ranks_per_node = 2, .memory = std::int64_t{8} << 30};
    EXPECT_THAT(make_plan(forecast_of(1e9, 100000), parsed({"/dev/null"}), with).stages[1].name,
                HasSubstr("randomized"));
    EXPECT_THAT(make_plan(forecast_of(1e9, 1000), parsed({"/dev/null"}), with).stages[1].name,
                HasSubstr("gram"));
}

TEST(Plan, TakesTheTimeThatTheSampleTook) {
    const nlohmann::json facts = forecast_of(1e9, 1000);
    Resources with{.nodes = 1, .ranks_per_node = 4, .memory = std::int64_t{32} << 30};
    // 1e9 tokens on 4 ranks, three steps of 1e7 tokens a second, 3e9 bytes written at 1e9 a rank
    EXPECT_NEAR(make_plan(facts, parsed({"/dev/null"}), with).stages[0].seconds, 3 * 25 + 0.75, 1e-9);
    with.memory = std::int64_t{1} << 30;  // records spill: sorted twice, written and read
    EXPECT_NEAR(make_plan(facts, parsed({"/dev/null"}), with).stages[0].seconds, 4 * 25 + 6 + 0.75, 1e-9);
}

TEST(Plan, CountsScratchAgainstWhatANodeHas) {
    Resources with{
        .nodes = 1, .ranks_per_node = 2, .memory = std::int64_t{1} << 30, .scratch = 4'000'000'000};
    const RunPlan plan = make_plan(forecast_of(1e9, 1000), parsed({"/dev/null"}), with);
    EXPECT_DOUBLE_EQ(plan.stages[0].scratch, 12e9);
    EXPECT_THAT(plan.misfit, HasSubstr("scratch"));
    EXPECT_EQ(plan.least_nodes, 3);
}

TEST(Placement, SharesTheCores) {
    const Placement one = place(1, 0, false);
    EXPECT_EQ(one.threads, one.cores);
    EXPECT_FALSE(one.oversubscribe);
    const Placement many = place(1000, 0, false);
    EXPECT_EQ(many.threads, 1);
    EXPECT_TRUE(many.oversubscribe);
    EXPECT_THAT(mpirun_command(many, "program", {}), Contains("--oversubscribe"));
    EXPECT_THAT(mpirun_command(one, "program", {}), Not(Contains("--oversubscribe")));
    EXPECT_THROW(place(-1, 0, false), UsageError);
}

TEST(Launcher, LogsAndPassesTheExitCodeOn) {
    const ScratchDirectory scratch;
    const Outcome outcome =
        run_logged({"sh", "-c", "echo \"$GREETING\"; exit 75"}, {{"GREETING", "hello"}}, scratch / "log");
    EXPECT_EQ(outcome.code, 75);
    EXPECT_FALSE(outcome.stop_asked);
    std::string line;
    std::getline(std::ifstream(scratch / "log"), line);
    EXPECT_EQ(line, "hello");
    EXPECT_EQ(run_logged({"sh", "-c", "kill -9 $$"}, {}, scratch / "log").code, 128 + 9);
    EXPECT_EQ(run_logged({"/no/such/program"}, {}, scratch / "log").code, 127);
}

TEST(Launcher, ForwardsAStopAsTheSignalOnWhichRanksSave) {
    const ScratchDirectory scratch;
    const Outcome outcome =
        run_logged({"sh", "-c", "trap 'exit 75' USR1; kill -TERM $PPID; while :; do sleep 0.05; done"}, {},
                   scratch / "log");
    EXPECT_EQ(outcome.code, 75);
    EXPECT_TRUE(outcome.stop_asked);
}

TEST(Launcher, CollectsOutput) {
    EXPECT_EQ(output_of({"echo", "three"}), "three\n");
    EXPECT_THROW(output_of({"sh", "-c", "echo cause >&2; exit 3"}), Error);
}

TEST(ShellText, QuotesWhatAShellWouldChange) {
    EXPECT_EQ(shell_text({"mpirun", "-n", "2", "a b", "it's", ""}), "mpirun -n 2 'a b' 'it'\\''s' ''");
}

TEST(Template, FillsNamesAndKnowsItsOwnAt) {
    EXPECT_EQ(filled("--signal=B:USR1@@GRACE@ user@host", {{"GRACE", "60"}}, "t"),
              "--signal=B:USR1@60 user@host");
    EXPECT_THROW(filled("@UNKNOWN@", {}, "t"), Error);
}

TEST(Status, FollowsTheJournal) {
    const ScratchDirectory scratch;
    const RunDirectory directory = made(scratch);
    EXPECT_THROW(status_of(directory), Error);
    directory.save({.options = parsed({"/dev/null"})});
    EXPECT_EQ(status_of(directory)["state"], "waiting");
    directory.append(event_now(Stage::matrix, "started"));
    EXPECT_EQ(status_of(directory)["state"], "stopped");  // nobody holds the directory
    directory.append(event_now(Stage::matrix, "ended", exit_success));
    directory.append(event_now(Stage::spectrum, "started"));
    directory.append(event_now(Stage::spectrum, "ended", exit_failure));
    std::ofstream(directory.log_of(Stage::spectrum)) << "eckart: it did not fit (rank 1 on n2)\n";
    const nlohmann::json status = status_of(directory);
    EXPECT_EQ(status["state"], "failed");
    EXPECT_EQ(status["stages"][0]["state"], "done");
    EXPECT_EQ(status["stages"][2]["state"], "waiting");
    EXPECT_THAT(status_text(status), HasSubstr("it did not fit"));
    directory.append(event_now(Stage::spectrum, "ended", exit_interrupted));
    EXPECT_EQ(status_of(directory)["state"], "stopped");
}

}  // namespace
}  // namespace eckart::driver
