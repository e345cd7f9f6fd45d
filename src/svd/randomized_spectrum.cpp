#include "eckart/svd/randomized_spectrum.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/random.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/bounds.hpp"
#include "eckart/svd/cross_operator.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

namespace eckart::svd {

namespace {

using dense::Columns;
using dense::SmallMatrix;
using dense::TallMatrix;

/// Sizes of one run, decided before any data is read.
struct Sizes {
    std::int64_t block;     ///< columns added by a pass
    std::int64_t capacity;  ///< columns the basis may have
    std::int64_t kept;      ///< Ritz vectors that survive a restart
};

std::int64_t rows_of(const matrix::MatrixReader& reader, int ranks) {
    return reader.column_count() / ranks + 1;
}

/// The basis, its image under G and one panel's worth of work.
std::int64_t basis_bytes(const matrix::MatrixReader& reader, int ranks, const Sizes& sizes) {
    const std::int64_t tall = rows_of(reader, ranks) * (2 * sizes.capacity + 4 * sizes.block);
    const std::int64_t small = 6 * sizes.capacity * sizes.capacity;
    return (tall + small) * static_cast<std::int64_t>(sizeof(double));
}

Sizes sizes_of(const matrix::MatrixReader& reader, int ranks, const RandomizedOptions& options) {
    const std::int64_t wanted = std::max<std::int64_t>(options.dimension, 1);
    Sizes sizes{};
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

/// Columns [first, first + count) of an endless Gaussian matrix; the same on any number of ranks.
TallMatrix gaussian(const CrossOperator& gram, std::uint64_t seed, std::int64_t first, std::int64_t count) {
    const CounterRandom random(seed);
    TallMatrix x(gram.local_rows(), count);
    for (std::int64_t j = 0; j < count; ++j)
        for (std::int64_t i = 0; i < x.rows(); ++i)
            x.column(j)[i] = random.gaussian(static_cast<std::uint64_t>(gram.first_row() + i),
                                             static_cast<std::uint64_t>(first + j));
    return x;
}

/// An orthonormal basis Q with G Q and T = Q'G Q, grown by the block Krylov recurrence.
class KrylovBasis {
public:
    KrylovBasis(CrossOperator& gram, const Sizes& sizes, std::uint64_t seed)
        : gram_(gram),
          sizes_(sizes),
          seed_(seed),
          q_(gram.local_rows()),
          image_(gram.local_rows()),
          next_(gaussian(gram, seed, 0, std::min(sizes.block, gram.size()))),
          random_columns_(next_.columns()) {
        const std::int64_t most = std::min(sizes.capacity, gram.size());
        q_.reserve(most);
        image_.reserve(most);
        dense::orthonormalise(gram.comm(), {}, next_);
    }

    std::int64_t size() const { return q_.columns(); }
    /// It spans everything: the Ritz values are the eigenvalues.
    bool is_whole() const { return size() == gram_.size(); }
    const TallMatrix& vectors() const { return q_; }
    const SmallMatrix& projected() const { return t_; }

    /// One pass: adds the next block.
    void grow() {
        TallMatrix image = gram_.apply(next_);
        q_.append(next_);
        const SmallMatrix projection = dense::inner_product(gram_.comm(), q_, image);
        extend_projected(projection);
        image_.append(image);
        dense::subtract_product(image, q_, projection);
        next_ = std::move(image);
        fill_next();
        if (size() + next_.columns() > sizes_.capacity) restart();
    }

    /// Turns Q into Ritz vectors, best first, and its image into residuals; returns the Ritz values.
    std::vector<double> finish(SmallMatrix& residual_product) {
        const dense::SymmetricEigen eigen = dense::symmetric_eigen(gram_.comm(), t_);
        dense::subtract_product(image_, q_, symmetric(t_));
        const SmallMatrix product = dense::inner_product(gram_.comm(), image_, image_);
        residual_product = dense::transposed_product(eigen.vectors, dense::product(product, eigen.vectors));
        dense::multiply_in_place(q_, eigen.vectors);
        return eigen.values;
    }

private:
    void extend_projected(const SmallMatrix& projection) {
        const std::int64_t old = t_.rows(), size = projection.rows();
        SmallMatrix larger(size, size);
        for (std::int64_t j = 0; j < old; ++j)
            for (std::int64_t i = 0; i < old; ++i) larger.at(i, j) = t_.at(i, j);
        for (std::int64_t j = old; j < size; ++j)
            for (std::int64_t i = 0; i < size; ++i)
                larger.at(i, j) = larger.at(j, i) = projection.at(i, j - old);
        t_ = std::move(larger);
    }
    static SmallMatrix symmetric(const SmallMatrix& t) {
        SmallMatrix result(t.rows(), t.rows());
        for (std::int64_t j = 0; j < t.rows(); ++j)
            for (std::int64_t i = 0; i < t.rows(); ++i) result.at(i, j) = (t.at(i, j) + t.at(j, i)) / 2;
        return result;
    }
    /// Where the recurrence ends (what it found is invariant: repeated eigenvalues), random columns go on.
    void fill_next() {
        const std::int64_t wanted = std::min(sizes_.block, gram_.size() - size());
        const std::array<Columns, 1> basis{q_};
        dense::orthonormalise(gram_.comm(), basis, next_);
        while (next_.columns() < wanted) {
            TallMatrix fresh = gaussian(gram_, seed_, random_columns_, wanted - next_.columns());
            random_columns_ += fresh.columns();
            const std::array<Columns, 2> both{q_, next_};
            dense::orthonormalise(gram_.comm(), both, fresh);
            next_.append(fresh);
        }
        next_.truncate(wanted);
    }
    /// Keeps the best Ritz vectors only; the next block is orthogonal to all of them already.
    void restart() {
        const std::int64_t kept = std::min(sizes_.kept, size());
        const dense::SymmetricEigen eigen = dense::symmetric_eigen(gram_.comm(), t_);
        SmallMatrix turn(size(), kept);
        std::copy_n(eigen.vectors.data(), size() * kept, turn.data());
        dense::multiply_in_place(q_, turn);
        dense::multiply_in_place(image_, turn);
        t_ = dense::diagonal_matrix(std::span(eigen.values).first(static_cast<std::size_t>(kept)));
    }

    CrossOperator& gram_;
    Sizes sizes_;
    std::uint64_t seed_;
    TallMatrix q_;
    TallMatrix image_;
    SmallMatrix t_;
    TallMatrix next_;
    std::int64_t random_columns_;
};

/// A bound on the norm of G on what is orthogonal to `basis`, true except with the failure probability.
double norm_beyond(CrossOperator& gram, const TallMatrix& basis, const RandomizedOptions& options,
                   Progress& progress) {
    const std::int64_t order = gram.size() - basis.columns();
    const std::int64_t columns = std::min(options.probes, order);
    progress.begin("bounding what is beyond", options.probe_passes, "passes");
    TallMatrix space(gram.local_rows()), block = gaussian(gram, ~options.seed, 0, columns);
    SmallMatrix projected;
    TallMatrix images(gram.local_rows());
    for (std::int64_t pass = 0; pass < options.probe_passes; ++pass) {
        const std::array<Columns, 2> bases{basis, space};
        dense::orthonormalise(gram.comm(), bases, block);
        if (block.columns() == 0) break;  // the space is invariant: its largest Ritz value is the norm
        TallMatrix image = gram.apply(block);
        space.append(block);
        images.append(image);
        block = std::move(image);
        progress.update(pass + 1);
    }
    projected = dense::inner_product(gram.comm(), space, images);
    const double largest = std::max(0.0, dense::symmetric_eigen(gram.comm(), projected).values.front());
    constexpr double dropped_directions = 1e-6;  // what orthonormalisation may have left out
    progress.end();
    return largest * (1 + dropped_directions) *
           probe_factor(order, columns, options.probe_passes, options.failure_probability);
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

/// Watches W-error(d), d <= K, from pass to pass: how far is it still to fall?
class Convergence {
public:
    Convergence(const std::vector<double>& isolated, double total, std::int64_t dimension)
        : isolated_(isolated), total_(total), dimension_(dimension) {}

    /// What is likely still missing, in W-error: the last change, continued as a geometric series.
    double remaining(const std::vector<double>& ritz_values) {
        const std::vector<double> values = merged(ritz_values, isolated_, dimension_);
        std::vector<double> errors;
        double left = total_;
        for (const double value : values) {
            left -= value;
            errors.push_back(std::sqrt(std::max(left, 0.0) / total_));
        }
        const bool comparable = errors.size() == errors_.size();
        double change = comparable ? 0 : 1;
        for (std::size_t i = 0; comparable && i < errors.size(); ++i)
            change = std::max(change, std::abs(errors[i] - errors_[i]));
        const double ratio = std::clamp(change / change_, 0.1, 0.95);
        change_ = change;
        errors_ = std::move(errors);
        return comparable ? change * ratio / (1 - ratio) : 1;
    }

private:
    const std::vector<double>& isolated_;
    double total_;
    std::int64_t dimension_;
    std::vector<double> errors_;
    double change_ = 1;
};

/// Grows the basis until the tolerance is met or the passes are used up.
void iterate(KrylovBasis& basis, CrossOperator& gram, const CoupledColumns& split, double total,
             const RandomizedOptions& options, Progress& progress) {
    const std::int64_t passes = options.passes > 0 ? options.passes : options.max_passes;
    progress.begin("block Krylov passes", options.passes, "passes");
    Convergence convergence(split.isolated_eigenvalues, total, options.dimension);
    for (std::int64_t pass = 1; pass <= passes && !basis.is_whole(); ++pass) {
        basis.grow();
        progress.update(pass);
        mpi::stop_if_interrupted(gram.comm(), "nothing but the matrix");
        if (options.passes > 0 || basis.size() < std::min(options.dimension, gram.size())) continue;
        double remaining = 0;
        if (gram.comm().is_root())
            remaining = convergence.remaining(dense::symmetric_eigenvalues(basis.projected()));
        if (mpi::broadcast(gram.comm(), remaining) < options.tolerance / 4) break;
    }
    progress.end();
}

/// Vectors of the coupled columns and unit vectors of the isolated ones, by eigenvalue; on the first rank.
std::vector<double> right_vectors(const CrossOperator& gram, const TallMatrix& ritz,
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

}  // namespace

MemoryPlan randomized_memory_plan(const matrix::MatrixReader& reader, int ranks,
                                  const RandomizedOptions& options) {
    const Sizes sizes = sizes_of(reader, ranks, options);
    MemoryPlan plan(options.memory);
    plan.add("programs and libraries", program_bytes);
    plan.add(fmt::format("basis of {} columns and its image", sizes.capacity),
             basis_bytes(reader, ranks, sizes));
    if (options.vectors)
        plan.add("right vectors (first rank)", options.dimension * reader.column_count() * 8);
    const PassPlan pass = plan_pass(reader, ranks, sizes.block, plan.left());
    plan.add(fmt::format("panels of a pass, {} columns in {} strips", sizes.block, pass.strips),
             pass_bytes(reader, sizes.block, pass));
    return plan;
}

Spectrum randomized_spectrum(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                             const RandomizedOptions& options, Progress& progress) {
    require(options.dimension > 0, "--dimension must be positive");
    const MemoryPlan plan = randomized_memory_plan(reader, comm.size(), options);
    progress.note("memory plan:\n" + plan.describe());
    plan.require_fits("use more ranks, a larger --memory or a smaller --dimension");

    const CoupledColumns split = coupled_columns(comm, reader, options.weight, progress);
    const Sizes sizes = sizes_of(reader, comm.size(), options);
    const std::int64_t kept_part =
        plan.left() +
        pass_bytes(reader, sizes.block, plan_pass(reader, comm.size(), sizes.block, options.memory));
    const PassPlan pass = plan_pass(reader, comm.size(), sizes.block, kept_part);
    CrossOperator gram(comm, reader, split, options.weight, pass, options.threads);
    progress.note(fmt::format("{} ranks as {} row groups x {} strips; the rows are {}", comm.size(),
                              pass.groups, pass.strips,
                              pass.keep_rows ? "kept in memory" : "streamed in every pass"));
    const double total = reader.frobenius_squared(options.weight);

    KrylovBasis basis(gram, sizes, options.seed);
    iterate(basis, gram, split, total, options, progress);
    const std::int64_t passes = gram.passes();
    SmallMatrix residual;
    const std::vector<double> theta = basis.finish(residual);
    const bool whole = basis.is_whole();
    const double c = whole ? 0 : norm_beyond(gram, basis.vectors(), options, progress);
    if (whole) residual = SmallMatrix(residual.rows(), residual.columns());
    const double largest = theta.empty() ? 0 : theta.front();
    const double rounding = 8 * std::numeric_limits<double>::epsilon() *
                            std::sqrt(static_cast<double>(std::max<std::int64_t>(gram.size(), 16))) * largest;
    progress.begin("interval of every value");
    EigenvalueBounds bounds;
    mpi::agree(comm, [&] { bounds = eigenvalue_bounds(theta, residual, c, rounding); });
    progress.end();

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
    spectrum.floor = std::sqrt(rounding);
    spectrum.failure_probability = whole ? 0 : options.failure_probability;
    spectrum.row_weight = options.weight == matrix::RowWeight::uniform ? "uniform" : "count";
    spectrum.matrix_digest = reader.manifest().digest.hex();
    if (options.vectors) {
        spectrum.token_ids = reader.columns().token_ids;
        spectrum.right_vectors =
            right_vectors(gram, basis.vectors(), theta, split, spectrum.columns, spectrum.size());
    }
    spectrum.notes.push_back(fmt::format("block Krylov: {} passes of {} columns, basis of {}; seed {}",
                                         passes, sizes.block, theta.size(), options.seed));
    if (!whole)
        spectrum.notes.push_back(
            fmt::format("no eigenvalue beyond the basis is above {:.6g}: {} Gaussian probes, {} passes, "
                        "failure probability {:.1g}",
                        bounds.beyond, options.probes, options.probe_passes, options.failure_probability));
    spectrum.notes.push_back("the values are Ritz values: lower bounds, so their W-error is an upper bound");
    return spectrum;
}

}  // namespace eckart::svd
