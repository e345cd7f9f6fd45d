#include "eckart/svd/randomized_spectrum.hpp"

#include "eckart/base/error.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/bounds.hpp"
#include "eckart/svd/cross_operator.hpp"
#include "eckart/svd/explicit_operator.hpp"
#include "eckart/svd/krylov_basis.hpp"
#include "eckart/svd/panel_store.hpp"
#include "eckart/svd/unsquared_values.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>

namespace eckart::svd {

namespace {

using dense::SmallMatrix;
using dense::TallMatrix;

std::int64_t rows_of(const matrix::MatrixReader& reader, int ranks) {
    return reader.column_count() / ranks + 1;
}

/// The basis, a few panels of work beside it, and the matrices of the projected problem.
std::int64_t basis_bytes(const matrix::MatrixReader& reader, int ranks, const KrylovSizes& sizes) {
    const std::int64_t probe = RandomizedOptions().probes * (RandomizedOptions().probe_passes + 3);
    const std::int64_t tall = rows_of(reader, ranks) * (sizes.capacity + 3 * sizes.block + probe);
    const std::int64_t small = 6 * sizes.capacity * sizes.capacity;
    return (tall + small) * static_cast<std::int64_t>(sizeof(double));
}

KrylovSizes sizes_of(const matrix::MatrixReader& reader, int ranks, const RandomizedOptions& options) {
    const std::int64_t wanted = std::max<std::int64_t>(options.dimension, 1);
    KrylovSizes sizes{};
    sizes.block =
        options.block > 0 ? options.block : std::clamp<std::int64_t>((wanted / 4 + 15) / 16 * 16, 32, 256);
    const std::int64_t least = wanted + 3 * sizes.block;
    sizes.capacity = std::max(options.basis > 0 ? options.basis : 4 * wanted + 4 * sizes.block, least);
    while (options.basis == 0 && sizes.capacity > least &&
           basis_bytes(reader, ranks, sizes) > options.memory / 2)
        sizes.capacity = std::max(least, sizes.capacity - sizes.block);
    sizes.kept = wanted + sizes.block;
    return sizes;
}

constexpr std::int64_t program_bytes = std::int64_t{192} << 20;

const char* name_of(matrix::RowWeight weight) {
    return weight == matrix::RowWeight::uniform ? "uniform" : "count";
}

const char* safe(const std::optional<PanelStore>& store) {
    return store ? "its passes are kept" : "nothing but the matrix";
}

/// Where an iteration leaves its state after every pass, when it does.
using Store = std::optional<PanelStore>;

/// `pass` is the basis', when the state is of what is beyond it.
Store store_of(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
               const RandomizedOptions& options, const KrylovSizes& sizes, const char* stage,
               std::int64_t pass = 0) {
    if (options.checkpoint.empty()) return std::nullopt;
    const nlohmann::json recipe{{"matrix", reader.manifest().digest.hex()},
                                {"row_weight", name_of(options.weight)},
                                {"dimension", options.dimension},
                                {"tolerance", options.tolerance},
                                {"passes", options.passes},
                                {"block", sizes.block},
                                {"seed", options.seed},
                                {"pass", pass}};
    return Store(std::in_place, comm, options.checkpoint / stage, recipe.dump());
}

/// The norm of G on what is orthogonal to a basis.
struct Beyond {
    double found = 0;  ///< some eigenvalue there is as large
    double bound = 0;  ///< none is larger, except with the failure probability
};

Beyond norm_beyond(SymmetricOperator& gram, const TallMatrix& basis, const RandomizedOptions& options,
                   Store store, Progress& progress) {
    const std::int64_t order = gram.size() - basis.columns();
    const std::int64_t columns = std::min(options.probes, order);
    progress.begin("bounding what is beyond", options.probe_passes, "passes");
    KrylovBasis probe(gram, {columns, columns * options.probe_passes, columns}, ~options.seed, &basis);
    if (store) probe.resume(*store);
    while (probe.passes() < options.probe_passes && !probe.is_whole()) {
        probe.grow();
        if (store) probe.save(*store, {});
        progress.update(probe.passes());
        mpi::stop_if_interrupted(gram.comm(), safe(store));
    }
    const double largest =
        std::max(0.0, dense::symmetric_eigenvalues(gram.comm(), probe.projected()).front());
    progress.end();
    constexpr double dropped_directions = 1e-6;  // what orthonormalisation may have left out
    return {largest, largest * (1 + dropped_directions) *
                         probe_factor(order, columns, options.probe_passes, options.failure_probability)};
}

/// The first `count` of two lists together, descending.
std::vector<double> merged(std::vector<double> values, const std::vector<double>& isolated,
                           std::int64_t count) {
    values.insert(values.end(), isolated.begin(), isolated.end());
    std::sort(values.begin(), values.end(), std::greater<>());
    values.resize(
        static_cast<std::size_t>(std::min<std::int64_t>(count, static_cast<std::int64_t>(values.size()))));
    return values;
}

/// W-error(d) for d = 1, 2, ...
std::vector<double> w_errors(const std::vector<double>& values, double total) {
    std::vector<double> errors;
    double left = total;
    for (const double value : values) {
        left -= value;
        errors.push_back(std::sqrt(std::max(left, 0.0) / total));
    }
    return errors;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    return largest;
}

/// By how much W-error(d) is lower, some d, if `beyond` is an eigenvalue that was found too seldom. A value
/// that is there more often than a block has columns is found a block at a time: passes that look as if the
/// iteration had converged lie between.
double missed(std::vector<double> values, double beyond, double total) {
    const std::vector<double> found = w_errors(values, total);
    for (double& value : values) value = std::max(value, beyond);
    return largest_difference(found, w_errors(values, total));
}

/// Watches W-error(d), d <= K, from pass to pass: how far is it still to fall?
class Convergence {
public:
    Convergence(const std::vector<double>& isolated, double total, std::int64_t dimension)
        : isolated_(isolated), total_(total), dimension_(dimension) {}

    /// What is likely still missing, in W-error: the last change, continued as a geometric series.
    double remaining(const std::vector<double>& ritz_values) {
        std::vector<double> errors = w_errors(merged(ritz_values, isolated_, dimension_), total_);
        const bool comparable = errors.size() == errors_.size();
        const double change = comparable ? largest_difference(errors, errors_) : 1;
        const double ratio = std::clamp(change / change_, 0.1, 0.95);
        change_ = change;
        errors_ = std::move(errors);
        return comparable ? change * ratio / (1 - ratio) : 1;
    }

    /// For the checkpoint.
    std::vector<double> state() const {
        std::vector<double> numbers{change_};
        numbers.insert(numbers.end(), errors_.begin(), errors_.end());
        return numbers;
    }
    void take_up(std::span<const double> numbers) {
        change_ = numbers.front();
        errors_.assign(numbers.begin() + 1, numbers.end());
    }

private:
    const std::vector<double>& isolated_;
    double total_;
    std::int64_t dimension_;
    std::vector<double> errors_;
    double change_ = 1;
};

/// Grows the basis until nothing seems to move any more, after pass `least` at the earliest, or the passes
/// are used up.
void iterate(KrylovBasis& basis, SymmetricOperator& gram, const CoupledColumns& split, double total,
             const RandomizedOptions& options, std::int64_t least, Store& store, Progress& progress) {
    const std::int64_t passes = options.passes > 0 ? options.passes : options.max_passes;
    progress.begin("block Krylov passes", options.passes, "passes");
    Convergence convergence(split.isolated_eigenvalues, total, options.dimension);
    double remaining = std::numeric_limits<double>::infinity();
    if (const auto stored = store && basis.passes() == 0 ? basis.resume(*store) : std::nullopt) {
        progress.note(fmt::format("taking up after pass {}", basis.passes()));
        remaining = stored->at(0), least = static_cast<std::int64_t>(stored->at(1));
        convergence.take_up(std::span(*stored).subspan(2));
    }
    while (basis.passes() < passes && !basis.is_whole() &&
           (basis.passes() < least || !(remaining < options.tolerance / 4))) {
        basis.grow();
        progress.update(basis.passes());
        if (options.passes == 0 && basis.size() >= std::min(options.dimension, gram.size()))
            remaining = convergence.remaining(dense::symmetric_eigenvalues(gram.comm(), basis.projected()));
        if (store) {
            std::vector<double> numbers = convergence.state();
            numbers.insert(numbers.begin(), {remaining, static_cast<double>(least)});
            basis.save(*store, numbers);
        }
        mpi::stop_if_interrupted(gram.comm(), safe(store));
    }
    progress.end();
}

/// Vectors of the coupled columns and unit vectors of the isolated ones, by eigenvalue; on the first rank.
std::vector<double> right_vectors(const SymmetricOperator& gram, const TallMatrix& ritz,
                                  const std::vector<double>& theta, const CoupledColumns& split,
                                  std::int64_t columns, std::int64_t count) {
    struct Source {
        double lambda;
        std::int64_t ritz;  ///< or -1
        std::int64_t column;
    };
    std::vector<Source> sources;
    for (std::int64_t i = 0; i < ritz.columns(); ++i)
        sources.push_back({theta[static_cast<std::size_t>(i)], i, -1});
    std::size_t isolated = 0;
    for (std::int64_t column = 0; column < columns; ++column)
        if (split.position[static_cast<std::size_t>(column)] < 0)
            sources.push_back({split.isolated_eigenvalues[isolated++], -1, column});
    std::stable_sort(sources.begin(), sources.end(),
                     [](const Source& a, const Source& b) { return a.lambda > b.lambda; });
    std::vector<double> all(gram.comm().is_root() ? static_cast<std::size_t>(count * columns) : 0);
    std::vector<double> whole(static_cast<std::size_t>(gram.size()));
    for (std::int64_t k = 0; k < count; ++k) {
        const Source& source = sources[static_cast<std::size_t>(k)];
        if (source.ritz >= 0) {
            std::fill(whole.begin(), whole.end(), 0.0);
            std::copy_n(ritz.column(source.ritz), ritz.rows(), whole.begin() + gram.first_row());
            mpi::all_sum(gram.comm(), std::span(whole));
        }
        if (!gram.comm().is_root()) continue;
        double* const row = all.data() + k * columns;
        if (source.ritz < 0) row[source.column] = 1;
        for (std::size_t i = 0; source.ritz >= 0 && i < whole.size(); ++i) row[split.coupled[i]] = whole[i];
    }
    return all;
}

const char* describe(Kept kept) {
    switch (kept) {
        case Kept::products:
            return "rows of W, kept as products";
        case Kept::rows:
            return "rows of W, kept";
        case Kept::file:
            return "rows of W, products in scratch";
        case Kept::nothing:
            return "rows of W, streamed in every pass";
    }
    return "";
}

PassResources resources_of(const RandomizedOptions& options, std::int64_t memory) {
    return {memory, options.threads, options.scratch, options.scratch_bytes};
}

/// What a run will do and hold, decided before any data is read.
struct RunPlan {
    KrylovSizes sizes;
    MemoryPlan memory;
    bool is_explicit = false;  ///< G is formed; otherwise W streams as `pass` says
    PassPlan pass;
    std::string why;
};

RunPlan plan_run(const matrix::MatrixReader& reader, int ranks, const RandomizedOptions& options) {
    RunPlan plan{sizes_of(reader, ranks, options), MemoryPlan(options.memory), false, {}, {}};
    const std::int64_t width = plan.sizes.block;
    plan.memory.add("programs and libraries", program_bytes);
    plan.memory.add(fmt::format("basis of at most {} columns", plan.sizes.capacity),
                    basis_bytes(reader, ranks, plan.sizes));
    if (options.unsquared)
        plan.memory.add("the last pass", unsquared_bytes(reader, options.dimension) +
                                             whole_panel_bytes(reader, options.dimension));
    if (options.vectors)
        plan.memory.add("right vectors (first rank)", options.dimension * reader.column_count() * 8);
    constexpr double slower = 2.5;  // a flop of the stream than one of a matrix product
    const auto columns = static_cast<double>(reader.column_count()), panel = static_cast<double>(width);
    const double stream = 4 * static_cast<double>(nonzeros_of(reader)) * panel,
                 product = 2 * columns * columns * panel;
    const std::int64_t bytes = explicit_operator_bytes(reader, ranks, width);
    plan.is_explicit = product < slower * stream && bytes <= plan.memory.left();
    plan.why = fmt::format(
        "a pass over {} columns: {}flop through the rows of W, {}flop through G ({} a rank)", width,
        format_count(stream), format_count(product), format_bytes(static_cast<double>(bytes)));
    if (plan.is_explicit) {
        plan.memory.add("explicit G", bytes);
        return plan;
    }
    plan.pass = plan_pass(reader, ranks, width, resources_of(options, plan.memory.left()));
    plan.memory.add(fmt::format("panels of a pass, {} columns in {} strips", width, plan.pass.strips),
                    pass_bytes(reader, width, plan.pass));
    if (plan.pass.kept != Kept::nothing)
        plan.memory.add(describe(plan.pass.kept), kept_bytes(reader, plan.pass, options.threads));
    return plan;
}

std::unique_ptr<SymmetricOperator> make_operator(const mpi::Communicator& comm,
                                                 const matrix::MatrixReader& reader,
                                                 const CoupledColumns& split, const RunPlan& plan,
                                                 const RandomizedOptions& options, Progress& progress) {
    const std::int64_t traffic = exchanged_bytes(reader.column_count(), plan.sizes.block, plan.pass);
    progress.note(plan.why + (plan.is_explicit
                                  ? std::string(": G is formed")
                                  : fmt::format(": {}, by {} groups x {} strips of ranks, which exchange {}",
                                                describe(plan.pass.kept), plan.pass.groups, plan.pass.strips,
                                                format_bytes(static_cast<double>(traffic)))));
    if (plan.is_explicit)
        return std::make_unique<ExplicitOperator>(comm, reader, split, options.weight, progress);
    return std::make_unique<CrossOperator>(comm, reader, split, options.weight, plan.pass,
                                           resources_of(options, 0));
}

/// A basis turned to its Ritz vectors, their values, and what is beyond.
struct Converged {
    std::vector<double> theta;
    Beyond beyond;
};

/// Iterates until what a probe finds beyond the basis cannot change W-error by more than the tolerance
/// either.
Converged converge(KrylovBasis& basis, SymmetricOperator& gram, const matrix::MatrixReader& reader,
                   const CoupledColumns& split, const RandomizedOptions& options, const KrylovSizes& sizes,
                   Store& store, Progress& progress) {
    const double total = reader.frobenius_squared(options.weight);
    for (std::int64_t least = 0;;) {
        iterate(basis, gram, split, total, options, least, store, progress);
        Converged result{basis.turn_to_ritz_vectors(), {}};
        if (basis.is_whole()) return result;
        result.beyond =
            norm_beyond(gram, basis.vectors(), options,
                        store_of(gram.comm(), reader, options, sizes, "probe", basis.passes()), progress);
        const double possible = missed(merged(result.theta, split.isolated_eigenvalues, options.dimension),
                                       result.beyond.found, total);
        if (options.passes > 0 || possible <= options.tolerance || basis.passes() >= options.max_passes)
            return result;
        least = basis.passes() + std::max<std::int64_t>(2, basis.passes() / 4);
        progress.note(
            fmt::format("{:.6g} is an eigenvalue beyond the basis still, and W-error up to {:.1g} "
                        "lower if it is there often: more passes",
                        result.beyond.found, possible));
    }
}

/// Values of the coupled columns and their bounds.
struct Bounded {
    std::vector<double> theta;
    EigenvalueBounds bounds;
    double rounding;  ///< error of a theta
    double floor;     ///< a sigma below it is noise
};

/// `theta`: the Ritz values to whose vectors the basis was turned.
Bounded bounded_values(KrylovBasis& basis, SymmetricOperator& gram, std::vector<double> theta, double beyond,
                       const RandomizedOptions& options, Progress& progress) {
    Bounded result{std::move(theta), {}, 0, 0};
    const double largest = result.theta.empty() ? 0 : result.theta.front();
    const auto order = static_cast<double>(std::max<std::int64_t>(gram.size(), 16));
    // A broken recurrence D moves eigenvalues by at most 2 ||D||, which a random vector shows to a factor of
    // the root of the columns.
    const double broken = 2 * std::sqrt(static_cast<double>(basis.size())) * basis.recurrence_error();
    require(broken < 1e-9, "the recurrence of the basis is broken by {:.2g} ||G||", broken);
    result.rounding =
        std::max(broken, 8 * std::numeric_limits<double>::epsilon() * std::sqrt(order)) * largest;
    result.floor = std::sqrt(result.rounding);
    const SmallMatrix residual =
        basis.is_whole() ? SmallMatrix(basis.size(), basis.size()) : basis.residual_product();
    progress.begin("interval of every value");
    result.bounds =
        eigenvalue_bounds(result.theta, residual, beyond, result.rounding, options.dimension,
                          [&](const SmallMatrix& f) { return dense::symmetric_eigenvalues(gram.comm(), f); });
    progress.end();
    return result;
}

/// The leading values found again without squaring: sigma with an error of eps sigma_1.
void refine(Bounded& values, const std::vector<double>& sigma, std::int64_t order, bool whole) {
    const double error = unsquared_error(sigma.empty() ? 0 : sigma.front(), order);
    values.floor = error;
    const bool all = whole && sigma.size() == values.theta.size();
    for (std::size_t i = 0; i < sigma.size(); ++i) {
        values.theta[i] = sigma[i] * sigma[i];
        const double least = std::max(0.0, sigma[i] - error), most = sigma[i] + error;
        values.bounds.lower[i] = std::max(values.bounds.lower[i], least * least);
        if (all) values.bounds.upper[i] = std::min(values.bounds.upper[i], most * most);
    }
}

}  // namespace

MemoryPlan randomized_memory_plan(const matrix::MatrixReader& reader, int ranks,
                                  const RandomizedOptions& options) {
    return plan_run(reader, ranks, options).memory;
}

Spectrum randomized_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                             const RandomizedOptions& options, Progress& progress) {
    require(options.dimension > 0, "--dimension must be positive");
    const RunPlan plan = plan_run(reader, comm.size(), options);
    progress.note("memory plan:\n" + plan.memory.describe());
    plan.memory.require_fits("use more ranks, a larger --memory or a smaller --dimension");
    const dense::BlasThreads threads(options.threads);

    const CoupledColumns split = coupled_columns(comm, reader, options.weight, progress);
    const auto gram = make_operator(comm, reader, split, plan, options, progress);
    const double total = reader.frobenius_squared(options.weight);
    Store store = store_of(comm, reader, options, plan.sizes, "basis");
    KrylovBasis basis(*gram, plan.sizes, options.seed);
    const Converged converged = converge(basis, *gram, reader, split, options, plan.sizes, store, progress);
    const bool whole = basis.is_whole();
    Bounded values = bounded_values(basis, *gram, converged.theta, converged.beyond.bound, options, progress);
    if (options.unsquared)
        refine(values,
               unsquared_values(*gram, reader, split, options.weight,
                                basis.vectors().part(0, std::min(options.dimension, basis.size())), progress),
               gram->size(), whole);
    const auto& [theta, bounds, rounding, floor] = values;

    const std::int64_t count = std::min(options.dimension, reader.column_count());
    Spectrum spectrum;
    spectrum.lambda = merged(theta, split.isolated_eigenvalues, count);
    for (double& value : spectrum.lambda) value = std::max(value, 0.0);
    spectrum.lambda_lower = merged(bounds.lower, split.isolated_eigenvalues, count);
    std::vector<double> upper = bounds.upper;
    if (!whole) upper.resize(upper.size() + static_cast<std::size_t>(count), bounds.beyond);
    spectrum.lambda_upper = merged(std::move(upper), split.isolated_eigenvalues, count);
    for (std::size_t i = 0; i < spectrum.lambda.size(); ++i) {
        spectrum.lambda_lower[i] = std::min(spectrum.lambda_lower[i], spectrum.lambda[i]);
        spectrum.lambda_upper[i] = std::max(spectrum.lambda_upper[i], spectrum.lambda[i]);
    }
    spectrum.method = "randomized";
    spectrum.complete = whole && spectrum.size() == reader.column_count();
    spectrum.frobenius_squared = total;
    spectrum.columns = reader.column_count();
    spectrum.contexts = reader.manifest().contexts;
    spectrum.floor = floor;
    spectrum.failure_probability = whole ? 0 : options.failure_probability;
    spectrum.row_weight = name_of(options.weight);
    spectrum.matrix_digest = reader.manifest().digest.hex();
    if (options.vectors) {
        spectrum.token_ids = reader.columns().token_ids;
        spectrum.right_vectors =
            right_vectors(*gram, basis.vectors(), theta, split, spectrum.columns, spectrum.size());
    }
    spectrum.notes.push_back(fmt::format("block Krylov: {} passes of {} columns, basis of {}; seed {}",
                                         basis.passes(), plan.sizes.block, theta.size(), options.seed));
    if (!whole)
        spectrum.notes.push_back(
            fmt::format("no eigenvalue beyond the basis is above {:.6g}: {} Gaussian probes, {} passes, "
                        "failure probability {:.1g}",
                        bounds.beyond, options.probes, options.probe_passes, options.failure_probability));
    if (options.unsquared)
        spectrum.notes.push_back("a last pass over W itself: the values were not squared");
    else if (!spectrum.lambda.empty() && spectrum.lambda.back() < 1e4 * rounding)
        spectrum.notes.push_back("squaring has cost the least values digits: --unsquared keeps them");
    spectrum.notes.push_back("the values are Ritz values: lower bounds, so their W-error is an upper bound");
    return spectrum;
}

}  // namespace eckart::svd
