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

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr std::int64_t largest_gathered =
    std::int64_t{60000};  ///< order of a matrix that LAPACK on one rank may take

/// Backward error of the eigenvalues: what forming G rounds (each entry a sum of non-negative terms) and what
/// an orthogonal reduction of order n leaves, in practice below sqrt(n) eps ||G|| (Higham 2002, chapter 3,
/// for the rule of square roots).
double eigenvalue_error(double largest, std::int64_t size) {
    return 4 * epsilon * std::sqrt(static_cast<double>(std::max<std::int64_t>(size, 16))) * largest;
}

void require_close(double found, double wanted, double tolerance, const char* what) {
    require(std::abs(found - wanted) <= tolerance * std::max(std::abs(wanted), 1e-300),
            "{}: {:.17g} where {:.17g} was counted", what, found, wanted);
}

double sum_of(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

dense::Eigensolver choose(const mpi::Communicator& comm, std::int64_t size, std::int64_t memory,
                          Progress& progress) {
    const bool one_node = comm.split_by_node().size() == comm.size();
    const bool fits =
        size * size * static_cast<std::int64_t>(sizeof(double)) <= memory && size <= largest_gathered;
    if (one_node && fits) {
        progress.note(
            "eigensolver: lapack (one node, and the matrix fits on one rank: threaded two-stage reduction)");
        return dense::Eigensolver::lapack;
    }
    progress.note(fmt::format("eigensolver: elpa ({})", one_node
                                                            ? "the matrix does not fit on one rank"
                                                            : "several nodes: every rank keeps its tiles"));
    return dense::Eigensolver::elpa;
}

}  // namespace

MemoryPlan gram_memory_plan(const matrix::MatrixReader& reader, int ranks, const GramOptions& options) {
    const std::int64_t n = reader.column_count();
    int rows = static_cast<int>(std::sqrt(static_cast<double>(ranks)));
    while (ranks % rows != 0) --rows;
    MemoryPlan plan(options.memory);
    plan.add("cross product matrix (tiles)",
             dense::block_cyclic_bytes(n, n, options.tile, rows, ranks / rows, sizeof(double)));
    plan.add("the same, while the solver works on it",
             dense::block_cyclic_bytes(n, n, options.tile, rows, ranks / rows, sizeof(double)));
    plan.add("row blocks in flight", 3 * reader.largest_block_bytes());
    plan.add("programs and libraries", std::int64_t{192} << 20);
    return plan;
}

Spectrum gram_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                       const GramOptions& options, Progress& progress) {
    const MemoryPlan plan = gram_memory_plan(reader, comm.size(), options);
    progress.note("memory plan:\n" + plan.describe());
    plan.require_fits("use more ranks, a larger --memory, or --method randomized");

    const ColumnSplit split = split_columns(comm, reader, options.weight, progress);
    const auto coupled = static_cast<std::int64_t>(split.coupled.size());
    progress.note(fmt::format("{} columns: {} are eigenvalues already, {} go to the solver",
                              reader.column_count(), split.isolated_eigenvalues.size(), coupled));

    const dense::ProcessGrid grid(comm);
    dense::BlockCyclicMatrix<double> gram =
        cross_product(grid, reader, split, options.weight, options.tile, progress);
    const CrossProductSums sums = sums_of(gram);
    const double total = reader.frobenius_squared(options.weight);
    require_close(sums.trace + sum_of(split.isolated_eigenvalues), total, 1e-10,
                  "the trace of the cross product is not ||W||_F^2");
    const double contexts =
        options.weight == matrix::RowWeight::uniform ? static_cast<double>(reader.manifest().contexts) : 1.0;
    require_close(sums.all_entries + sum_of(split.isolated_eigenvalues), contexts, 1e-10,
                  "the entries of the cross product do not add up to the contexts");

    const std::int64_t gathered = options.memory * (comm.split_by_node().size());
    const dense::Eigensolver solver =
        options.eigensolver ? *options.eigensolver : choose(comm, coupled, gathered, progress);
    progress.begin(fmt::format("all {} eigenvalues ({})", coupled, dense::name_of(solver)));
    std::vector<double> values = dense::eigenvalues(gram, solver, available_cores());
    progress.end();
    for (const double value : values)
        require(std::isfinite(value), "the solver returned a value that is not finite");
    require_close(sum_of(values), sums.trace, 1e-9, "the eigenvalues do not add up to the trace");
    require_close(std::inner_product(values.begin(), values.end(), values.begin(), 0.0), sums.squared_norm,
                  1e-9, "the squared eigenvalues do not add up to ||G||_F^2");

    const double largest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
    const double error = eigenvalue_error(largest, coupled);
    struct Value {
        double lambda, error;
    };
    std::vector<Value> all;
    for (const double value : values) all.push_back({std::max(value, 0.0), error});
    for (const double value : split.isolated_eigenvalues) all.push_back({value, epsilon * value});
    std::sort(all.begin(), all.end(), [](const Value& a, const Value& b) { return a.lambda > b.lambda; });

    Spectrum spectrum;
    for (const auto& [lambda, uncertainty] : all) {
        spectrum.lambda.push_back(lambda);
        spectrum.lambda_lower.push_back(std::max(0.0, lambda - uncertainty));
        spectrum.lambda_upper.push_back(lambda + uncertainty);
    }
    spectrum.method = "gram";
    spectrum.complete = true;
    spectrum.frobenius_squared = total;
    spectrum.columns = reader.column_count();
    spectrum.contexts = reader.manifest().contexts;
    spectrum.floor = std::sqrt(error);
    spectrum.row_weight = options.weight == matrix::RowWeight::uniform ? "uniform" : "count";
    spectrum.matrix_digest = reader.manifest().digest.hex();
    spectrum.notes.push_back(
        fmt::format("{} of {} columns occur only in one-hot rows: their eigenvalues are exact",
                    split.isolated_eigenvalues.size(), reader.column_count()));
    spectrum.notes.push_back("eigenvalues by " + dense::name_of(solver));
    return spectrum;
}

}  // namespace eckart::svd
