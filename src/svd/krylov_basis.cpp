#include "eckart/svd/krylov_basis.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/random.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cmath>

namespace eckart::svd {

using dense::Columns;
using dense::SmallMatrix;
using dense::TallMatrix;

namespace {

SmallMatrix symmetric(const SmallMatrix& t) {
    SmallMatrix result(t.rows(), t.rows());
    for (std::int64_t j = 0; j < t.rows(); ++j)
        for (std::int64_t i = 0; i < t.rows(); ++i) result.at(i, j) = (t.at(i, j) + t.at(j, i)) / 2;
    return result;
}

double squared_norm(const mpi::Communicator& comm, std::span<const double> values) {
    double sum = 0;
    for (const double value : values) sum += value * value;
    return mpi::all_sum(comm, sum);
}

}  // namespace

TallMatrix gaussian(const SymmetricOperator& gram, std::uint64_t seed, std::int64_t first,
                    std::int64_t count) {
    const CounterRandom random(seed);
    TallMatrix x(gram.local_rows(), count);
    for (std::int64_t j = 0; j < count; ++j)
        for (std::int64_t i = 0; i < x.rows(); ++i)
            x.column(j)[i] = random.gaussian(static_cast<std::uint64_t>(gram.first_row() + i),
                                             static_cast<std::uint64_t>(first + j));
    return x;
}

KrylovBasis::KrylovBasis(SymmetricOperator& gram, const KrylovSizes& sizes, std::uint64_t seed,
                         const TallMatrix* beyond)
    : gram_(gram),
      sizes_(sizes),
      seed_(seed),
      beyond_(beyond),
      q_(gram.local_rows()),
      next_(gaussian(gram, seed, 0, std::min(sizes.block, order()))),
      random_columns_(next_.columns()) {
    q_.reserve(std::min(sizes.capacity, order()));
    dense::orthonormalise(gram.comm(), bases(), next_);
}

std::vector<Columns> KrylovBasis::bases() const {
    std::vector<Columns> result;
    if (beyond_ != nullptr) result.push_back(*beyond_);
    result.push_back(q_);
    return result;
}

void KrylovBasis::grow() {
    if (size() + next_.columns() > sizes_.capacity) restart();
    TallMatrix image = gram_.apply(next_);
    q_.append(next_);
    if (!turned_) saved_.push_back(saved_next_);
    if (beyond_ != nullptr)
        dense::subtract_product(image, *beyond_, dense::inner_product(gram_.comm(), *beyond_, image));
    const SmallMatrix projection = dense::inner_product(gram_.comm(), q_, image);
    dense::subtract_product(image, q_, projection);
    extend_projected(projection);
    const SmallMatrix last = take_next(std::move(image));
    coupling_ = SmallMatrix(next_.columns(), size());
    std::copy_n(last.data(), last.rows() * last.columns(),
                coupling_.data() + (size() - last.columns()) * next_.columns());
    ++passes_;
}

/// T grows by the new block's projections. The columns before the block meet it only through S, so the block
/// row that S was is found again here, to rounding.
void KrylovBasis::extend_projected(const SmallMatrix& projection) {
    const std::int64_t old = t_.rows(), size = projection.rows();
    SmallMatrix larger(size, size);
    for (std::int64_t j = 0; j < old; ++j)
        for (std::int64_t i = 0; i < old; ++i) larger.at(i, j) = t_.at(i, j);
    for (std::int64_t j = old; j < size; ++j)
        for (std::int64_t i = 0; i < size; ++i) larger.at(i, j) = larger.at(j, i) = projection.at(i, j - old);
    t_ = std::move(larger);
}

/// The next block F is a basis of the residuals; returns S = F'residuals. What is nearly dependent on others,
/// and would be lost beside them, gives directions of its own. What F still does not hold is D.
SmallMatrix KrylovBasis::take_next(TallMatrix residuals) {
    constexpr int rounds = 3;
    constexpr double negligible = 1e-14;
    double largest = 0;
    for (std::int64_t i = 0; i < size(); ++i) largest = std::max(largest, t_.at(i, i));
    const std::int64_t wanted = std::min(sizes_.block, order() - size());
    next_ = residuals;
    dense::orthonormalise(gram_.comm(), bases(), next_);
    SmallMatrix coupling;
    TallMatrix rest(0);
    const auto couple = [&] {
        coupling = dense::inner_product(gram_.comm(), next_, residuals);
        rest = residuals;
        dense::subtract_product(rest, next_, coupling);
        return squared_norm(gram_.comm(), rest.values());
    };
    double lost = couple();
    for (int round = 0; round < rounds && next_.columns() < wanted; ++round) {
        if (!(lost > std::pow(negligible * largest, 2))) break;
        std::vector<Columns> all = bases();
        all.push_back(next_);
        dense::orthonormalise(gram_.comm(), all, rest);
        next_.append(rest);
        lost = couple();
    }
    if (next_.columns() != wanted) fill_next(wanted), lost = couple();
    dropped_squared_ += lost;
    return coupling;
}

/// Where the recurrence ends (what it found is invariant: repeated eigenvalues), random columns go on.
void KrylovBasis::fill_next(std::int64_t wanted) {
    while (next_.columns() < wanted) {
        TallMatrix fresh = gaussian(gram_, seed_, random_columns_, wanted - next_.columns());
        random_columns_ += fresh.columns();
        std::vector<Columns> all = bases();
        all.push_back(next_);
        dense::orthonormalise(gram_.comm(), all, fresh);
        next_.append(fresh);
    }
    next_.truncate(wanted);
}

void KrylovBasis::keep_leading(const dense::SymmetricEigen& eigen, std::int64_t kept) {
    SmallMatrix turn(size(), kept);
    std::copy_n(eigen.vectors.data(), size() * kept, turn.data());
    dense::multiply_in_place(q_, turn);
    coupling_ = dense::product(coupling_, turn);
    t_ = dense::diagonal_matrix(std::span(eigen.values).first(static_cast<std::size_t>(kept)));
    turned_ = true;
}

/// Keeps the best Ritz vectors only; the next block is orthogonal to all of them already.
void KrylovBasis::restart() {
    keep_leading(dense::symmetric_eigen(gram_.comm(), symmetric(t_)), std::min(sizes_.kept, size()));
    ++restarts_;
}

std::vector<double> KrylovBasis::turn_to_ritz_vectors() {
    const dense::SymmetricEigen eigen = dense::symmetric_eigen(gram_.comm(), symmetric(t_));
    keep_leading(eigen, size());
    return eigen.values;
}

SmallMatrix KrylovBasis::residual_product() const {
    constexpr double cross = 1e-4;  // D of an earlier pass may meet a later F
    SmallMatrix product = dense::transposed_product(coupling_, coupling_);
    for (double& value : product.values()) value *= 1 + cross;
    for (std::int64_t i = 0; i < product.rows(); ++i) product.at(i, i) += (1 + 1 / cross) * dropped_squared_;
    return product;
}

double KrylovBasis::recurrence_error() {
    SmallMatrix c(size(), 1);
    const CounterRandom random(seed_ + 1);
    for (std::int64_t i = 0; i < size(); ++i) c.at(i, 0) = random.gaussian(static_cast<std::uint64_t>(i), 0);
    TallMatrix image = gram_.apply(dense::product(q_, c));
    dense::subtract_product(image, q_, dense::product(t_, c));
    dense::subtract_product(image, next_, dense::product(coupling_, c));
    double largest = 0, norm = 0;
    for (std::int64_t i = 0; i < size(); ++i)
        largest = std::max(largest, t_.at(i, i)), norm += c.at(i, 0) * c.at(i, 0);
    if (largest == 0) return 0;
    return std::sqrt(squared_norm(gram_.comm(), image.values()) / norm) / largest;
}

void KrylovBasis::save(PanelStore& store, const std::vector<double>& extra) {
    const std::string pass = fmt::format("{:05}", passes_);
    if (turned_) saved_ = {store.write_panel("basis-" + pass, q_, gram_.first_row())};
    turned_ = false;
    saved_next_ = store.write_panel("next-" + pass, next_, gram_.first_row());
    StoredState state;
    state.panels = saved_;
    state.panels.push_back(saved_next_);
    state.counts = {passes_, restarts_, random_columns_, size(), next_.columns()};
    state.numbers = {std::vector<double>(t_.data(), t_.data() + size() * size()),
                     std::vector<double>(coupling_.data(), coupling_.data() + next_.columns() * size()),
                     {dropped_squared_},
                     extra};
    store.commit(state);
}

std::optional<std::vector<double>> KrylovBasis::resume(PanelStore& store) {
    const std::optional<StoredState> state = store.state();
    if (!state) return std::nullopt;
    const std::int64_t columns = state->counts.at(3), width = state->counts.at(4);
    require(
        columns <= sizes_.capacity,
        "{}: the checkpoint's basis of {} columns has no room in this plan, which has room for {}: use as "
        "many ranks and as much memory as before, or remove it to begin anew",
        store.directory().string(), columns, sizes_.capacity);
    passes_ = state->counts.at(0), restarts_ = state->counts.at(1), random_columns_ = state->counts.at(2);
    q_.truncate(0);
    saved_.assign(state->panels.begin(), state->panels.end() - 1);
    for (const std::string& panel : saved_)
        q_.append(store.read_panel(panel, gram_.first_row(), gram_.local_rows()));
    turned_ = false;
    saved_next_ = state->panels.back();
    next_ = store.read_panel(saved_next_, gram_.first_row(), gram_.local_rows());
    t_ = SmallMatrix(columns, columns);
    coupling_ = SmallMatrix(width, columns);
    std::copy(state->numbers.at(0).begin(), state->numbers.at(0).end(), t_.data());
    std::copy(state->numbers.at(1).begin(), state->numbers.at(1).end(), coupling_.data());
    dropped_squared_ = state->numbers.at(2).at(0);
    return state->numbers.at(3);
}

}  // namespace eckart::svd
