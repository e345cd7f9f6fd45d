#include "eckart/driver/plan.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/stage_options.hpp"
#include "eckart/matrix/forecast.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/svd/cross_product.hpp"
#include "eckart/svd/gram_spectrum.hpp"
#include "eckart/svd/randomized_spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

namespace eckart::driver {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// What the seconds rest on, each for one core: cautious figures of present machines, not of this one.
constexpr double solver_flops = 40e9;      // reduction to a band and what follows, in double precision
constexpr double panel_flops = 4e9;        // of a pass of the randomized method
constexpr double randomized_passes = 40;   // more than its tolerance needs as a rule
constexpr double counted_nonzeros = 50e6;  // of verification
constexpr double disk_bytes = 500e6;       // written or read, for each rank
constexpr double value_bytes = 24;         // of the spectrum: the value and its interval

double number(const json& facts, const char* name) {
    return facts.at(name).get<double>();
}

/// The matrix as the plans of the solvers want to see it: sizes, in blocks of the size that is written.
matrix::MatrixReader forecast_reader(const json& facts) {
    matrix::Manifest manifest;
    manifest.columns = static_cast<std::int64_t>(number(facts, "columns"));
    manifest.contexts = static_cast<std::int64_t>(number(facts, "contexts"));
    const double one_hot = number(facts, "one_hot_rows"),
                 nonzeros = number(facts, "merged_nonzeros") - one_hot,
                 rows = number(facts, "merged_rows") - one_hot;
    const auto block_nonzeros = static_cast<double>(matrix::MatrixOptions{}.block_nonzeros);
    const double blocks = std::ceil(std::max(8.0, nonzeros / block_nonzeros));
    for (double block = 0; block < blocks; ++block)
        manifest.blocks.push_back({.rows = static_cast<std::int64_t>(rows / blocks),
                                   .nonzeros = static_cast<std::int64_t>(nonzeros / blocks)});
    return matrix::MatrixReader(std::move(manifest));
}

struct SpectrumPlan {
    std::string method;
    MemoryPlan memory;
    double seconds;
    double values;
    double kept_bytes;  ///< the cross product, beside the spectrum until that is there
};

SpectrumPlan gram_plan(const matrix::MatrixReader& reader, const json& facts, const RunOptions& options,
                       const Resources& with) {
    const bool single = options.get("precision", "double") == "single";
    svd::GramOptions gram;
    gram.precision = single ? svd::Precision::single_ : svd::Precision::double_;
    gram.memory = with.memory;
    gram.vectors = std::stoll(options.get("vectors", "0"));
    gram.unsquared = !options.get("unsquared", "").empty();
    const double n = number(facts, "columns"), cores = with.cores();
    return {.method = single ? "gram, single precision" : "gram",
            .memory = svd::gram_memory_plan(reader, with.ranks(), gram),
            .seconds = 4.0 / 3.0 * n * n * n / (solver_flops * (single ? 2 : 1) * cores) +
                       number(facts, "pairs") / 2 / (svd::pairs_a_second * cores),
            .values = n,
            .kept_bytes = options.get("no-checkpoint", "").empty() ? n * n / 2 * (single ? 4 : 8) : 0};
}

SpectrumPlan randomized_plan(const matrix::MatrixReader& reader, const json& facts, const RunOptions& options,
                             const Resources& with) {
    svd::RandomizedOptions randomized;
    const std::string dimension = options.get("dimension", "");
    if (!dimension.empty()) randomized.dimension = std::stoll(dimension);
    randomized.memory = with.memory;
    const double n = number(facts, "columns"), k = static_cast<double>(randomized.dimension);
    const double block = std::clamp(k / 4, 32.0, 256.0);
    const double a_pass = 4 * number(facts, "merged_nonzeros") * block + 8 * n * 3 * k * block;
    return {.method = fmt::format("randomized, {} values", randomized.dimension),
            .memory = svd::randomized_memory_plan(reader, with.ranks(), randomized),
            .seconds = randomized_passes * a_pass / (panel_flops * with.cores()),
            .values = std::min(n, k),
            .kept_bytes = 0};
}

bool fits(const SpectrumPlan& plan) {
    return plan.memory.total() <= plan.memory.cap();
}

/// As eckart-spectrum chooses: all values where they fit and enough of them are wanted.
SpectrumPlan spectrum_plan(const json& facts, const RunOptions& options, const Resources& with) {
    const matrix::MatrixReader reader = forecast_reader(facts);
    const std::string method = options.get("method", "auto");
    if (method == "randomized") return randomized_plan(reader, facts, options, with);
    SpectrumPlan gram = gram_plan(reader, facts, options, with);
    if (method == "gram") return gram;
    const std::string dimension = options.get("dimension", "");
    constexpr double few = 16;
    const bool few_wanted = !dimension.empty() && std::stod(dimension) * few < number(facts, "columns");
    return few_wanted || !fits(gram) ? randomized_plan(reader, facts, options, with) : gram;
}

/// Why a run does not fit; empty when it does.
std::string misfit(const json& facts, const RunOptions& options, const Resources& with) {
    const matrix::Forecast forecast = matrix::forecast_from(facts);
    const double memory = static_cast<double>(with.memory),
                 least = forecast.fixed_bytes + static_cast<double>(matrix::MemoryShares::of(0).total());
    const bool counted = facts.at("counted").get<bool>();
    if (!counted && least > memory)
        return fmt::format("counting needs {} a rank where {} are given", format_bytes(least),
                           format_bytes(memory));
    if (const SpectrumPlan spectrum = spectrum_plan(facts, options, with); !fits(spectrum))
        return fmt::format("the spectrum ({}) needs {} a rank where {} are given", spectrum.method,
                           format_bytes(static_cast<double>(spectrum.memory.total())), format_bytes(memory));
    const double scratch = forecast.spilled_bytes(with.ranks(), with.memory) / with.nodes;
    if (!counted && with.scratch > 0 && scratch > static_cast<double>(with.scratch))
        return fmt::format("counting needs {} of scratch on each node where {} are free",
                           format_bytes(scratch), format_bytes(static_cast<double>(with.scratch)));
    return "";
}

int least_nodes(const json& facts, const RunOptions& options, Resources with) {
    constexpr int most = 1 << 14;
    for (with.nodes = 1; with.nodes <= most; with.nodes += std::max(1, with.nodes / 8))
        if (misfit(facts, options, with).empty()) return with.nodes;
    return 0;
}

StagePlan matrix_stage(const json& facts, const Resources& with) {
    const matrix::Forecast forecast = matrix::forecast_from(facts);
    StagePlan stage{.name = "matrix", .memory = with.memory, .output = forecast.matrix_bytes};
    if (facts.at("counted").get<bool>()) return stage;
    const double held = forecast.held_bytes(with.ranks(), with.memory);
    stage.memory =
        std::min(with.memory, static_cast<std::int64_t>(forecast.fixed_bytes) +
                                  matrix::MemoryShares::for_records(static_cast<std::int64_t>(held)).total());
    stage.scratch = forecast.spilled_bytes(with.ranks(), with.memory);
    stage.seconds = forecast.seconds(with.ranks(), with.memory);
    return stage;
}

StagePlan verify_stage(const json& facts, const Resources& with) {
    const matrix::MatrixReader reader = forecast_reader(facts);
    const double nonzeros = number(facts, "merged_nonzeros");
    return {.name = "verify",
            .memory = (std::int64_t{192} << 20) + 24 * reader.column_count() + reader.largest_block_bytes(),
            .seconds = nonzeros / with.ranks() / counted_nonzeros +
                       number(facts, "matrix_bytes") / with.ranks() / disk_bytes};
}

json facts_of(const matrix::Manifest& manifest) {
    constexpr double pairs_a_nonzero = 30;  // of real corpora
    const auto number = [](std::int64_t count) { return static_cast<double>(count); };
    matrix::Forecast counted;
    counted.tokens = number(manifest.tokens), counted.ngrams = number(manifest.ngrams);
    counted.contexts = number(manifest.contexts), counted.columns = number(manifest.columns);
    counted.merged_rows = number(manifest.merged_rows);
    counted.merged_nonzeros = number(manifest.merged_nonzeros);
    counted.one_hot_rows = number(manifest.one_hot_rows);
    counted.pairs = pairs_a_nonzero * counted.merged_nonzeros;
    counted.matrix_bytes = manifest.statistics.value("written_bytes", 0.0);
    json facts = to_json(counted);
    facts["counted"] = true;
    return facts;
}

std::string amount(const json& facts, const char* name) {
    return format_count(number(facts, name));
}

}  // namespace

json matrix_facts(const RunDirectory& directory, const RunOptions& options, const Placement& placement) {
    if (matrix::has_manifest(directory.matrix())) return facts_of(matrix::read_manifest(directory.matrix()));
    std::vector<std::string> arguments = options.arguments_of(Stage::matrix);
    for (const std::string& argument :
         {"--out=" + directory.matrix().string(), std::string("--dry-run"), std::string("--json")})
        arguments.push_back(argument);
    const std::string said =
        output_of(mpirun_command(placement, program_path("eckart-matrix").string(), arguments),
                  launch_environment(placement));
    json facts = json::parse(said, nullptr, false);
    require(facts.is_object(), "eckart-matrix --dry-run gave no plan: {}", said);
    facts["counted"] = false;
    return facts;
}

RunPlan make_plan(const json& facts, const RunOptions& options, const Resources& with) {
    const SpectrumPlan spectrum = spectrum_plan(facts, options, with);
    return {.facts = facts,
            .resources = with,
            .stages = {matrix_stage(facts, with),
                       {.name = "spectrum: " + spectrum.method,
                        .memory = spectrum.memory.total(),
                        .scratch = spectrum.kept_bytes,
                        .output = value_bytes * spectrum.values,
                        .seconds = spectrum.seconds},
                       verify_stage(facts, with)},
            .misfit = misfit(facts, options, with),
            .least_nodes = least_nodes(facts, options, with)};
}

Resources resources_here(const RunOptions& options, const Placement& placement) {
    const int nodes = std::max(1, placement.nodes);
    Resources with{
        .nodes = nodes, .ranks_per_node = std::max(1, placement.ranks / nodes), .threads = placement.threads};
    const std::string memory = options.get("memory", "");
    with.memory = memory.empty() ? available_memory() / 10 * 8 / with.ranks_per_node : parse_bytes(memory);
    std::error_code error;
    const fs::space_info space = fs::space(scratch_root(options.get("scratch", "")), error);
    if (!error) with.scratch = static_cast<std::int64_t>(space.available);
    return with;
}

std::string RunPlan::describe() const {
    const bool counted = facts.at("counted").get<bool>();
    std::string text = fmt::format(
        "plan for {} node{} x {} rank{} x {} thread{}, {} a rank: {} tokens, {} contexts, {} columns, merged "
        "to {} "
        "rows with {} non-zeros ({})\n  {:<32} {:>14} {:>12} {:>12} {:>10}\n",
        resources.nodes, resources.nodes == 1 ? "" : "s", resources.ranks_per_node,
        resources.ranks_per_node == 1 ? "" : "s", resources.threads, resources.threads == 1 ? "" : "s",
        format_bytes(static_cast<double>(resources.memory)), amount(facts, "tokens"),
        amount(facts, "contexts"), amount(facts, "columns"), amount(facts, "merged_rows"),
        amount(facts, "merged_nonzeros"),
        counted ? "the matrix is there" : "from a sample of " + amount(facts, "sampled_tokens") + " tokens",
        "stage", "memory a rank", "temporary", "output", "about");
    double seconds = 0;
    for (const StagePlan& stage : stages) {
        text += fmt::format("  {:<32} {:>14} {:>12} {:>12} {:>10}\n", stage.name,
                            format_bytes(static_cast<double>(stage.memory)), format_bytes(stage.scratch),
                            format_bytes(stage.output), format_seconds(stage.seconds));
        seconds += stage.seconds;
    }
    text += fmt::format(
        "  together about {}; {}\n", format_seconds(seconds),
        misfit.empty()     ? fmt::format("fits, from {} node{} on", least_nodes, least_nodes == 1 ? "" : "s")
        : least_nodes == 0 ? "does not fit on any number of nodes: " + misfit
                           : fmt::format("does not fit: {}; use {} nodes", misfit, least_nodes));
    if (!counted)
        text += fmt::format(
            "  measured: {} tokens/s a rank read and exchanged, {} sorted, {} merged, {}/s of scratch\n",
            amount(facts, "counting_rate"), amount(facts, "cutting_rate"), amount(facts, "merging_rate"),
            format_bytes(number(facts, "disk_rate")));
    return text + fmt::format(
                      "  assumed: {} Gflop/s a core for the eigenvalues, {} M pairs/s a core for the cross "
                      "product, {} MB/s "
                      "of disk a rank\n",
                      solver_flops / 1e9, svd::pairs_a_second / 1e6, disk_bytes / 1e6);
}

json to_json(const RunPlan& plan) {
    json stages = json::array();
    for (const StagePlan& stage : plan.stages)
        stages.push_back({{"name", stage.name},
                          {"memory_per_rank", stage.memory},
                          {"scratch_bytes", stage.scratch},
                          {"output_bytes", stage.output},
                          {"seconds", stage.seconds}});
    return {{"matrix", plan.facts},
            {"nodes", plan.resources.nodes},
            {"ranks", plan.resources.ranks()},
            {"memory_per_rank", plan.resources.memory},
            {"stages", stages},
            {"fits", plan.misfit.empty()},
            {"misfit", plan.misfit},
            {"least_nodes", plan.least_nodes}};
}

int plan_command(int argc, char** argv) {
    po::options_description own("Plan");
    own.add_options()("nodes", po::value<int>()->default_value(1)->value_name("N"), "nodes to plan for")(
        "ntasks-per-node", po::value<int>()->default_value(0, "cores here")->value_name("M"),
        "ranks on each")("cpus-per-task", po::value<int>()->default_value(1)->value_name("T"),
                         "threads of each rank")("node-memory", po::value<std::string>()->value_name("SIZE"),
                                                 "of each node (default: as here)")(
        "node-scratch", po::value<std::string>()->value_name("SIZE"), "of each node (default: as here)")(
        "out", po::value<std::string>()->default_value("eckart-run")->value_name("DIR"),
        "directory of the run: a matrix that is there is not estimated")("json", po::bool_switch(),
                                                                         "as JSON");
    po::options_description options = run_options();
    options.add(own);
    const Command command =
        parse_command(argc, argv, "eckart plan CORPUS... [--nodes N] [options]",
                      "What a run will take: memory, scratch, output and time of each stage, and the least "
                      "nodes that fit.\n"
                      "Counts a sample of the corpus on this machine. Exit code 1 when the run does not fit.",
                      options, corpus_positional());
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const RunOptions run = run_options_of(command);
    const Placement here = place(0, 1, false);
    Resources with = resources_here(run, here);
    with.nodes = command.get<int>("nodes");
    if (const int tasks = command.get<int>("ntasks-per-node"); tasks > 0) with.ranks_per_node = tasks;
    with.threads = command.get<int>("cpus-per-task");
    if (with.nodes < 1 || with.ranks_per_node < 1 || with.threads < 1)
        throw UsageError("--nodes, --ntasks-per-node and --cpus-per-task are at least 1");
    const std::int64_t node = command.has("node-memory")
                                  ? parse_bytes(command.get<std::string>("node-memory"))
                                  : available_memory();
    if (run.get("memory", "").empty()) with.memory = node / 10 * 8 / with.ranks_per_node;
    if (command.has("node-scratch")) with.scratch = parse_bytes(command.get<std::string>("node-scratch"));
    const RunDirectory directory(command.get<std::string>("out"));
    const RunPlan plan = make_plan(matrix_facts(directory, run, here), run, with);
    std::cout << (command.flag("json") ? to_json(plan).dump(2) + "\n" : plan.describe());
    return plan.misfit.empty() ? exit_success : exit_failure;
}

}  // namespace eckart::driver
