#include "eckart/svd/gram_spectrum.hpp"

#include "eckart/base/error.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/cross_product.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace eckart::svd {

namespace {

double unit_of(Precision precision) {
    return precision == Precision::double_ ? std::numeric_limits<double>::epsilon()
                                           : static_cast<double>(std::numeric_limits<float>::epsilon());
}

/// Error of an eigenvalue of order n: what forming G rounds (sums of up to `terms` non-negative terms) and
/// what an orthogonal reduction leaves, by the rule of square roots (Higham 2002, chapter 3), with a margin
/// of four.
double eigenvalue_error(double unit, double largest, std::int64_t order, std::int64_t terms) {
    const double n = static_cast<double>(std::max<std::int64_t>(order, 16)), m = static_cast<double>(terms);
    return unit * (4 * std::sqrt(n) + std::sqrt(m)) * largest;
}

void require_close(double found, double wanted, double tolerance, const char* what) {
    require(std::abs(found - wanted) <= tolerance * std::max(std::abs(wanted), 1e-300),
            "{}: {:.17g} where {:.17g} was counted", what, found, wanted);
}

double sum_of(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

struct Value {
    double lambda, error;
};

/// G and what it must sum up to, counted exactly.
template <typename T>
CrossProduct<T> checked_cross_product(RowBlocks& blocks, const Components& components,
                                      const GramOptions& options, Progress& progress) {
    CrossProduct<T> gram = cross_product<T>(blocks, components, options.weight, progress);
    const CrossProductSums sums = sums_of(blocks.comm(), gram);
    const double isolated = sum_of(components.isolated_eigenvalues);
    const double tolerance =
        unit_of(options.precision) * (64 + std::sqrt(static_cast<double>(components.longest_sum)));
    require_close(sums.trace + isolated, blocks.reader().frobenius_squared(options.weight), tolerance + 1e-12,
                  "the trace of the cross product is not ||W||_F^2");
    const bool uniform = options.weight == matrix::RowWeight::uniform;
    const double contexts = uniform ? static_cast<double>(blocks.reader().manifest().contexts) : 1.0;
    require_close(sums.all_entries + isolated, contexts, tolerance + 1e-12,
                  "the entries of the cross product do not add up to the contexts");
    return gram;
}

/// The eigenvalues of every component: large ones over all ranks, one after the other; small ones each on its
/// rank. Collective.
template <typename T>
std::vector<double> solve(const mpi::Communicator& comm, CrossProduct<T>& gram, const GramOptions& options,
                          Progress& progress) {
    const dense::Eigensolver solver = options.eigensolver.value_or(dense::Eigensolver::two_stage);
    std::vector<double> values;
    for (auto& large : gram.large) {
        const double n = static_cast<double>(large.size());
        progress.begin(fmt::format("{} eigenvalues ({})", large.size(), dense::name_of(solver)),
                       static_cast<std::int64_t>(4.0 / 3.0 * n * n * n / 1e9), " Gflop");
        const auto some = dense::eigenvalues(large, solver, available_cores(), progress);
        values.insert(values.end(), some.begin(), some.end());
        progress.end();
    }
    std::vector<double> mine;
    for (LocalComponent& local : gram.small) {
        if (local.values.empty()) continue;
        const auto some = dense::local_eigenvalues(local.values, local.size);
        mine.insert(mine.end(), some.begin(), some.end());
    }
    const auto all = mpi::all_gather_all<double>(comm, mine);
    values.insert(values.end(), all.begin(), all.end());
    return values;
}

template <typename T>
std::vector<Value> connected_values(RowBlocks& blocks, const Components& components,
                                    const GramOptions& options, Progress& progress) {
    CrossProduct<T> gram = checked_cross_product<T>(blocks, components, options, progress);
    const CrossProductSums sums = sums_of(blocks.comm(), gram);
    const std::vector<double> values = solve(blocks.comm(), gram, options, progress);
    for (const double value : values)
        require(std::isfinite(value), "the solver returned a value that is not finite");
    const double tolerance = 1e4 * unit_of(options.precision);
    require_close(sum_of(values), sums.trace, tolerance, "the eigenvalues do not add up to the trace");
    require_close(std::inner_product(values.begin(), values.end(), values.begin(), 0.0), sums.squared_norm,
                  tolerance, "the squared eigenvalues do not add up to ||G||_F^2");
    const double largest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
    const std::int64_t order = components.sizes.empty() ? 0 : components.sizes.front();
    const double error = eigenvalue_error(unit_of(options.precision), largest, order, components.longest_sum);
    std::vector<Value> result;
    for (const double value : values) result.push_back({std::max(value, 0.0), error});
    return result;
}

std::string describe(const Components& components, std::int64_t columns) {
    std::string text = fmt::format("{} columns: {} are eigenvalues already", columns,
                                   components.isolated_eigenvalues.size());
    if (components.sizes.empty()) return text;
    return text + fmt::format(", {} connected component{}, the largest of order {}", components.sizes.size(),
                              components.sizes.size() == 1 ? "" : "s", components.sizes.front());
}

std::int64_t element_bytes(const GramOptions& options) {
    return options.precision == Precision::double_ ? sizeof(double) : sizeof(float);
}

}  // namespace

MemoryPlan gram_memory_plan(const matrix::MatrixReader& reader, int ranks, const GramOptions& options) {
    const std::int64_t n = reader.column_count(), bytes = element_bytes(options);
    constexpr std::int64_t band = dense::SymmetricColumns<double>::band;
    MemoryPlan plan(options.memory);
    plan.add("cross product matrix (lower triangle, by columns)",
             dense::symmetric_columns_bytes(n, ranks, bytes));
    if (options.eigensolver && *options.eigensolver != dense::Eigensolver::two_stage)
        plan.add("the same in tiles, for a packaged solver", 2 * n * n / ranks * 8);
    plan.add("panels of the reduction", n * band * (6 * bytes + 2 * 8));
    plan.add("row blocks in flight", 6 * reader.largest_block_bytes());
    plan.add("programs and libraries", std::int64_t{192} << 20);
    return plan;
}

Spectrum gram_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                       const GramOptions& options, Progress& progress) {
    const MemoryPlan plan = gram_memory_plan(reader, comm.size(), options);
    progress.note("memory plan:\n" + plan.describe());
    int enough = comm.size();
    while (enough < 1 << 20 && gram_memory_plan(reader, enough, options).left() < 0) ++enough;
    plan.require_fits(
        fmt::format("use {} ranks, a larger --memory, --precision single or --method randomized", enough));

    RowBlocks blocks(comm, reader, plan.left());
    const Components components = find_components(blocks, options.weight, progress);
    progress.note(describe(components, reader.column_count()));
    std::vector<Value> all = options.precision == Precision::double_
                                 ? connected_values<double>(blocks, components, options, progress)
                                 : connected_values<float>(blocks, components, options, progress);
    double floor = 0;
    for (const Value& value : all) floor = std::max(floor, std::sqrt(value.error));
    for (const double value : components.isolated_eigenvalues)
        all.push_back({value, std::numeric_limits<double>::epsilon() * value});
    std::sort(all.begin(), all.end(), [](const Value& a, const Value& b) { return a.lambda > b.lambda; });

    Spectrum spectrum;
    for (const auto& [lambda, uncertainty] : all) {
        spectrum.lambda.push_back(lambda);
        spectrum.lambda_lower.push_back(std::max(0.0, lambda - uncertainty));
        spectrum.lambda_upper.push_back(lambda + uncertainty);
    }
    spectrum.method = "gram";
    spectrum.complete = true;
    spectrum.frobenius_squared = reader.frobenius_squared(options.weight);
    spectrum.columns = reader.column_count();
    spectrum.contexts = reader.manifest().contexts;
    spectrum.floor = floor;
    spectrum.row_weight = options.weight == matrix::RowWeight::uniform ? "uniform" : "count";
    spectrum.precision = options.precision == Precision::double_ ? "double" : "single";
    spectrum.matrix_digest = reader.manifest().digest.hex();
    spectrum.notes.push_back(describe(components, reader.column_count()));
    spectrum.notes.push_back("eigenvalues by " +
                             dense::name_of(options.eigensolver.value_or(dense::Eigensolver::two_stage)));
    return spectrum;
}

}  // namespace eckart::svd
