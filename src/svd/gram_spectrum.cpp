#include "eckart/svd/gram_spectrum.hpp"

#include "eckart/base/error.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/cross_product.hpp"
#include "eckart/svd/gram_checkpoint.hpp"
#include "eckart/svd/gram_solution.hpp"
#include "eckart/svd/unsquared_values.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <tuple>

namespace eckart::svd {

using dense::SmallMatrix;

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

std::string name_of(matrix::RowWeight weight) {
    return weight == matrix::RowWeight::uniform ? "uniform" : "count";
}
std::string name_of(Precision precision) {
    return precision == Precision::double_ ? "double" : "single";
}

std::string describe(const Components& components, std::int64_t columns) {
    std::string text = fmt::format("{} columns: {} are eigenvalues already", columns,
                                   components.isolated_eigenvalues.size());
    if (components.sizes.empty()) return text;
    return text + fmt::format(", {} connected component{}, the largest of order {}", components.sizes.size(),
                              components.sizes.size() == 1 ? "" : "s", components.sizes.front());
}

/// What an iteration would find by a pass of its own.
CoupledColumns coupled_columns(const Components& components) {
    CoupledColumns split;
    split.isolated_eigenvalues = components.isolated_eigenvalues;
    for (std::size_t column = 0; column < components.number.size(); ++column) {
        const bool isolated = components.number[column] < 0;
        split.position.push_back(isolated ? -1 : static_cast<std::int32_t>(split.coupled.size()));
        if (!isolated) split.coupled.push_back(static_cast<std::int32_t>(column));
    }
    return split;
}

/// An eigenvalue and where it comes from: number `index` of a component, or column `index` that is alone.
struct Value {
    double lambda, error;
    std::int32_t component;
    std::int64_t index;

    friend bool operator<(const Value& a, const Value& b) {  // the largest first, ties in a fixed order
        return std::tuple(-a.lambda, a.component, a.index) < std::tuple(-b.lambda, b.component, b.index);
    }
};
constexpr std::int32_t alone = -1;

/// G and its components.
template <typename T>
struct Problem {
    Components components;
    CrossProduct<T> gram;
    CrossProductSums sums;
};

/// One run, in precision T.
template <typename T>
class GramRun {
public:
    GramRun(const mpi::Communicator& comm, const matrix::MatrixReader& reader, const GramOptions& options,
            std::int64_t spare_memory, Progress& progress)
        : comm_(comm),
          reader_(reader),
          options_(options),
          spare_memory_(spare_memory),
          progress_(progress),
          checkpoint_(options.checkpoint, {{"matrix", reader.manifest().digest.hex()},
                                           {"row_weight", name_of(options.weight)},
                                           {"precision", name_of(options.precision)}}) {}

    Spectrum run() {
        std::optional<Problem<T>> problem = resumed();
        if (!problem) problem.emplace(formed());
        const std::string safe =
            options_.checkpoint.empty() ? "nothing but the matrix is kept" : "the cross product is safe";
        mpi::stop_if_interrupted(comm_, safe);
        progress_.note(describe(problem->components, reader_.column_count()));
        GramSolution<T> solution(comm_, problem->gram, options_.eigensolver, options_.vectors > 0, safe,
                                 progress_);
        mpi::agree(comm_, [&] { check_identities(*problem, solution.values()); });
        std::vector<Value> values = sorted_values(*problem, solution.values());
        const double floor = options_.unsquared ? refine(values, problem->components) : squared_floor(values);
        Spectrum spectrum = spectrum_of(values, floor, problem->components);
        spectrum.notes.push_back(solution.description());
        if (options_.vectors > 0) add_vectors(spectrum, values, problem->components, solution);
        return spectrum;
    }

private:
    /// The cross product from the checkpoint, when there is one of this matrix.
    std::optional<Problem<T>> resumed() {
        if (options_.checkpoint.empty() || !checkpoint_.exists(comm_)) return std::nullopt;
        try {
            progress_.begin("reading the cross product from " + options_.checkpoint.string());
            Components components = checkpoint_.read_components(comm_);
            CrossProduct<T> gram = checkpoint_.read(comm_, components);
            Problem<T> problem = checked(std::move(components), std::move(gram));
            progress_.end();
            return problem;
        } catch (const mpi::SharedError<Error>& error) {
            progress_.note(
                fmt::format("the checkpoint cannot be used, so the matrix is read: {}", error.what()));
            return std::nullopt;
        }
    }
    Problem<T> formed() {
        RowBlocks blocks(comm_, reader_, spare_memory_);
        Components components = find_components(blocks, options_.weight, progress_);
        CrossProduct<T> gram = cross_product<T>(blocks, components, options_.weight, progress_);
        Problem<T> problem = checked(std::move(components), std::move(gram));
        save(problem);
        return problem;
    }
    /// What is small enough to be formed again is not kept, unless vectors are to be checked with it.
    void save(const Problem<T>& problem) {
        if (options_.checkpoint.empty() || problem.components.sizes.empty()) return;
        try {
            progress_.begin("keeping the cross product in " + options_.checkpoint.string());
            checkpoint_.write(comm_, problem.components, problem.gram);
            progress_.end();
        } catch (const mpi::SharedError<Error>& error) {
            if (options_.vectors > 0) throw;
            progress_.note(fmt::format("no checkpoint is kept: {}", error.what()));
        }
    }

    /// G must sum up to what was counted.
    Problem<T> checked(Components components, CrossProduct<T> gram) {
        const CrossProductSums sums = sums_of(comm_, gram);
        mpi::agree(comm_, [&] {
            const double isolated = sum_of(components.isolated_eigenvalues);
            const double terms = static_cast<double>(components.longest_sum);
            const double tolerance = unit_of(options_.precision) * (64 + std::sqrt(terms)) + 1e-12;
            require_close(sums.trace + isolated, reader_.frobenius_squared(options_.weight), tolerance,
                          "the trace of the cross product is not ||W||_F^2");
            const bool uniform = options_.weight == matrix::RowWeight::uniform;
            const double contexts = uniform ? static_cast<double>(reader_.manifest().contexts) : 1.0;
            require_close(sums.all_entries + isolated, contexts, tolerance,
                          "the entries of the cross product do not add up to the contexts");
        });
        return {std::move(components), std::move(gram), sums};
    }

    /// sum lambda = trace G and sum lambda^2 = ||G||_F^2, to what an orthogonal reduction may change.
    void check_identities(const Problem<T>& problem, const std::vector<std::vector<double>>& values) const {
        double sum = 0, squares = 0;
        for (const auto& component : values)
            for (const double value : component) {
                require(std::isfinite(value), "the solver returned a value that is not finite");
                sum += value, squares += value * value;
            }
        const double n =
            problem.components.sizes.empty() ? 1 : static_cast<double>(problem.components.sizes.front());
        const double tolerance = unit_of(options_.precision) * (64 + 4 * std::sqrt(n));
        require_close(sum, problem.sums.trace, tolerance, "the eigenvalues do not add up to the trace");
        require_close(squares, problem.sums.squared_norm, tolerance,
                      "the squared eigenvalues do not add up to ||G||_F^2");
    }

    std::vector<Value> sorted_values(const Problem<T>& problem,
                                     const std::vector<std::vector<double>>& values) const {
        std::vector<Value> all;
        for (std::size_t c = 0; c < values.size(); ++c) {
            const double error =
                eigenvalue_error(unit_of(options_.precision), values[c].front(), problem.components.sizes[c],
                                 problem.components.longest_sum);
            for (std::size_t i = 0; i < values[c].size(); ++i)
                all.push_back({std::max(values[c][i], 0.0), error, static_cast<std::int32_t>(c),
                               static_cast<std::int64_t>(i)});
        }
        std::size_t isolated = 0;
        for (std::size_t column = 0; column < problem.components.number.size(); ++column) {
            if (problem.components.number[column] != alone) continue;
            const double value = problem.components.isolated_eigenvalues[isolated++];
            all.push_back({value, std::numeric_limits<double>::epsilon() * value, alone,
                           static_cast<std::int64_t>(column)});
        }
        std::sort(all.begin(), all.end());
        return all;
    }

    static double squared_floor(const std::vector<Value>& values) {
        double floor = 0;
        for (const Value& value : values)
            if (value.component != alone) floor = std::max(floor, std::sqrt(value.error));
        return floor;
    }

    /// Puts values found without squaring in the place of the components' eigenvalues, in their order.
    /// Returns their floor.
    double refine(std::vector<Value>& values, const Components& components) {
        const CoupledColumns split = coupled_columns(components);
        const std::vector<double> sigma = unsquared_values(comm_, reader_, split, options_.weight, progress_);
        if (sigma.empty()) return 0;
        const double error = unsquared_error(sigma.front(), static_cast<std::int64_t>(sigma.size()));
        auto next = sigma.begin();
        mpi::agree(comm_, [&] {
            for (Value& value : values) {
                if (value.component == alone) continue;
                require(next != sigma.end(), "a column is coupled, and alone too");
                const double squared = *next * *next;
                require(std::abs(squared - value.lambda) <= 2 * value.error,
                        "the value {:.17g} is {:.17g} without squaring", value.lambda, squared);
                value.lambda = squared;
                value.error = (2 * *next + error) * error;
                ++next;
            }
        });
        std::sort(values.begin(), values.end());
        return error;
    }

    Spectrum spectrum_of(const std::vector<Value>& values, double floor, const Components& components) const {
        Spectrum spectrum;
        for (const Value& value : values) {
            spectrum.lambda.push_back(value.lambda);
            spectrum.lambda_lower.push_back(std::max(0.0, value.lambda - value.error));
            spectrum.lambda_upper.push_back(value.lambda + value.error);
        }
        spectrum.floor = floor;
        spectrum.method = "gram";
        spectrum.complete = true;
        spectrum.frobenius_squared = reader_.frobenius_squared(options_.weight);
        spectrum.columns = reader_.column_count();
        spectrum.contexts = reader_.manifest().contexts;
        spectrum.row_weight = name_of(options_.weight);
        spectrum.precision = name_of(options_.precision);
        spectrum.matrix_digest = reader_.manifest().digest.hex();
        spectrum.notes.push_back(describe(components, reader_.column_count()));
        if (options_.unsquared)
            spectrum.notes.push_back("found again by a pass over W itself: the values were not squared");
        return spectrum;
    }

    /// The vectors of the first values, on the first rank, with their backward error, found with G itself.
    void add_vectors(Spectrum& spectrum, const std::vector<Value>& values, const Components& components,
                     GramSolution<T>& solution) {
        const std::int64_t count = std::min(options_.vectors, spectrum.columns);
        spectrum.token_ids = reader_.columns().token_ids;
        if (comm_.is_root())
            spectrum.right_vectors.resize(static_cast<std::size_t>(count * spectrum.columns));
        std::vector<std::vector<std::int64_t>> places(components.sizes.size());  // of a component's vectors
        for (std::int64_t k = 0; k < count; ++k) {
            const Value& value = values[static_cast<std::size_t>(k)];
            if (value.component != alone)
                places[static_cast<std::size_t>(value.component)].push_back(k);
            else if (comm_.is_root())
                spectrum.right_vectors[static_cast<std::size_t>(k * spectrum.columns + value.index)] = 1;
        }
        for (std::size_t c = 0; c < places.size(); ++c) {
            if (places[c].empty()) continue;
            const SmallMatrix x =
                solution.leading_vectors(c, static_cast<std::int64_t>(places[c].size()), progress_);
            spectrum.backward_error =
                std::max(spectrum.backward_error, backward_error(c, x, values.front().lambda, solution));
            if (comm_.is_root()) scatter(spectrum, places[c], static_cast<std::int32_t>(c), components, x);
        }
        spectrum.notes.push_back(
            fmt::format("{} right singular vectors, ||G v - lambda v|| <= {:.2g} lambda_1", count,
                        spectrum.backward_error));
    }

    /// A component's vectors into their rows: zero in the columns of other components.
    static void scatter(Spectrum& spectrum, const std::vector<std::int64_t>& places, std::int32_t component,
                        const Components& components, const SmallMatrix& x) {
        for (std::size_t column = 0; column < components.number.size(); ++column) {
            if (components.number[column] != component) continue;
            for (std::size_t i = 0; i < places.size(); ++i)
                spectrum.right_vectors[static_cast<std::size_t>(places[i] * spectrum.columns) + column] =
                    x.at(components.position[column], static_cast<std::int64_t>(i));
        }
    }

    /// The largest ||G v - lambda v|| / `scale` of a component's vectors. Throws `Error` when it, or V'V - 1,
    /// is beyond what the precision explains.
    double backward_error(std::size_t component, const SmallMatrix& x, double scale,
                          const GramSolution<T>& solution) {
        progress_.begin("backward error of the vectors");
        const SmallMatrix y = component_product(component, x, solution);
        const std::vector<double>& values = solution.values()[component];
        double largest = 0, skew = 0;
        for (std::int64_t j = 0; j < x.columns(); ++j) {
            double sum = 0;
            for (std::int64_t i = 0; i < x.rows(); ++i) {
                const double residual = y.at(i, j) - values[static_cast<std::size_t>(j)] * x.at(i, j);
                sum += residual * residual;
            }
            largest = std::max(largest, std::sqrt(sum) / scale);
        }
        const SmallMatrix products = dense::transposed_product(x, x);
        for (std::int64_t j = 0; j < x.columns(); ++j)
            for (std::int64_t i = 0; i < x.columns(); ++i)
                skew = std::max(skew, std::abs(products.at(i, j) - (i == j ? 1 : 0)));
        const double n = static_cast<double>(std::max<std::int64_t>(x.rows(), 16));
        const double tolerance = 64 * unit_of(options_.precision) * std::sqrt(n);
        require(largest <= tolerance && skew <= tolerance,
                "the vectors fail: ||G v - lambda v|| is {:.3g} lambda_1, V'V is off by {:.3g}", largest,
                skew);
        progress_.end();
        return largest;
    }

    /// G x; of a large component from the checkpoint, whose strips the ranks share out.
    SmallMatrix component_product(std::size_t component, const SmallMatrix& x,
                                  const GramSolution<T>& solution) {
        constexpr std::int64_t band = dense::SymmetricColumns<T>::band;
        if (x.rows() <= local_order) return solution.small_product(component, x);
        SmallMatrix y(x.rows(), x.columns());
        mpi::agree(comm_, [&] {
            for (std::int64_t first = band * comm_.rank(); first < x.rows(); first += band * comm_.size())
                dense::add_strip_product(
                    checkpoint_.strip(static_cast<std::int64_t>(component), first / band), first, x, y);
        });
        mpi::all_sum(comm_, y.values());
        return y;
    }

    const mpi::Communicator& comm_;
    const matrix::MatrixReader& reader_;
    const GramOptions& options_;
    std::int64_t spare_memory_;
    Progress& progress_;
    GramCheckpoint<T> checkpoint_;
};

std::int64_t element_bytes(const GramOptions& options) {
    return options.precision == Precision::double_ ? sizeof(double) : sizeof(float);
}

}  // namespace

std::int64_t most_coupled_columns(const matrix::MatrixReader& reader) {
    std::int64_t nonzeros = 0;
    for (const matrix::BlockEntry& block : reader.manifest().blocks) nonzeros += block.nonzeros;
    return std::min(reader.column_count(), nonzeros);
}

bool unsquared_is_cheap(const matrix::MatrixReader& reader, int ranks, GramOptions options) {
    constexpr double few_flops = 2e10;
    const auto n = static_cast<double>(most_coupled_columns(reader));
    options.unsquared = true;
    return n <= 1024 && 3 * static_cast<double>(reader.manifest().merged_rows) * n * n <= few_flops &&
           gram_memory_plan(reader, ranks, options).left() >= 0;
}

MemoryPlan gram_memory_plan(const matrix::MatrixReader& reader, int ranks, const GramOptions& options) {
    const std::int64_t n = most_coupled_columns(reader), bytes = element_bytes(options),
                       vectors = std::min(options.vectors, n);
    constexpr std::int64_t band = dense::SymmetricColumns<double>::band;
    MemoryPlan plan(options.memory);
    plan.add("cross product matrix (lower triangle, by columns)",
             dense::symmetric_columns_bytes(n, ranks, bytes));
    if (const std::int64_t square = dense::solver_bytes(options.eigensolver, n, ranks); square > 0)
        plan.add("the square, for LAPACK or ScaLAPACK", square);
    plan.add("panels of the reduction", n * band * (6 * bytes + 2 * 8));
    if (vectors > 0)
        plan.add(fmt::format("{} vectors and the way back to them (first rank)", vectors),
                 dense::TwoStage<double>::vectors_bytes(n) + n * band * 16 +
                     (4 * n + reader.column_count()) * vectors * 8);
    if (options.unsquared) plan.add("the pass over W itself", unsquared_bytes(reader, n));
    plan.add("row blocks and rows in flight",
             3 * reader.largest_block_bytes() +
                 cross_product_buffer_bytes(reader.manifest().merged_nonzeros, n, bytes));
    plan.add("programs and libraries", std::int64_t{192} << 20);
    return plan;
}

int least_ranks(const matrix::MatrixReader& reader, int ranks, const GramOptions& options) {
    constexpr int most = 1 << 20;
    while (ranks < most && gram_memory_plan(reader, ranks, options).left() < 0) ++ranks;
    return ranks;
}

Spectrum gram_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                       const GramOptions& options, Progress& progress) {
    require(options.vectors == 0 || !options.checkpoint.empty(),
            "vectors are checked against the checkpoint of the cross product: give it a place");
    require(options.vectors == 0 || dense::gives_vectors(options.eigensolver),
            "vectors are found by --eigensolver two-stage alone");
    const MemoryPlan plan = gram_memory_plan(reader, comm.size(), options);
    progress.note("memory plan:\n" + plan.describe());
    plan.require_fits(
        fmt::format("use {} ranks, a larger --memory, --precision single or --method randomized",
                    least_ranks(reader, comm.size(), options)));
    return options.precision == Precision::double_
               ? GramRun<double>(comm, reader, options, plan.left(), progress).run()
               : GramRun<float>(comm, reader, options, plan.left(), progress).run();
}

}  // namespace eckart::svd
