#include "eckart/svd/gram_solution.hpp"

#include "eckart/base/memory_plan.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <map>

namespace eckart::svd {

using dense::SmallMatrix;

namespace {

template <typename T>
SmallMatrix symmetric(const LocalComponent<T>& local) {
    SmallMatrix matrix(local.size, local.size);
    for (std::int64_t j = 0; j < local.size; ++j)
        for (std::int64_t i = j; i < local.size; ++i)
            matrix.at(i, j) = matrix.at(j, i) =
                static_cast<double>(local.values[static_cast<std::size_t>(j * local.size + i)]);
    return matrix;
}

}  // namespace

template <typename T>
GramSolution<T>::GramSolution(const mpi::Communicator& comm, CrossProduct<T>& gram, dense::Eigensolver solver,
                              bool vectors, const std::string& safe, Progress& progress)
    : comm_(comm), gram_(gram) {
    solve_large(solver, vectors, safe, progress);
    solve_small(vectors);
}

template <typename T>
void GramSolution<T>::solve_large(dense::Eigensolver solver, bool vectors, const std::string& safe,
                                  Progress& progress) {
    for (dense::SymmetricColumns<T>& matrix : gram_.large) {
        const double n = static_cast<double>(matrix.size());
        const dense::Eigensolver taken = dense::chosen(solver, matrix.size(), vectors);
        progress.begin(fmt::format("{} eigenvalues ({})", matrix.size(), dense::name_of(taken)),
                       static_cast<std::int64_t>(4.0 / 3.0 * n * n * n / 1e9), " Gflop");
        values_.push_back(solved(matrix, taken, vectors, safe, progress));
        std::reverse(values_.back().begin(), values_.back().end());
        taken_.push_back(taken);
        progress.end();
    }
}

template <typename T>
std::vector<double> GramSolution<T>::solved(dense::SymmetricColumns<T>& matrix, dense::Eigensolver solver,
                                            bool vectors, const std::string& safe, Progress& progress) {
    const auto may_stop = [&] { mpi::stop_if_interrupted(comm_, safe); };
    may_stop();
    if (solver == dense::Eigensolver::lapack) return dense::eigenvalues_by_lapack(matrix);
    if (solver == dense::Eigensolver::scalapack) return dense::eigenvalues_by_scalapack(matrix);
    using Vectors = typename dense::TwoStage<T>::Vectors;
    dense::TwoStage<T> two_stage(matrix, vectors ? Vectors::later : Vectors::never, available_cores(),
                                 progress, may_stop);
    std::vector<double> values = two_stage.values();
    if (vectors) solvers_.push_back(std::move(two_stage));
    return values;
}

template <typename T>
std::string GramSolution<T>::description() const {
    std::map<std::string, std::size_t> counts;
    for (const dense::Eigensolver solver : taken_) ++counts[dense::name_of(solver)];
    if (!gram_.small.empty()) counts[dense::name_of(dense::Eigensolver::lapack)] += gram_.small.size();
    if (counts.empty()) return "no eigenvalue problem was left to solve";
    std::string text = "eigenvalues by";
    for (const char* comma = " "; const auto& [name, count] : counts) {
        text += fmt::format("{}{} ({} component{})", comma, name, count, count == 1 ? "" : "s");
        comma = ", ";
    }
    return text;
}

template <typename T>
void GramSolution<T>::solve_small(bool vectors) {
    std::vector<double> mine;
    if (vectors) small_vectors_.resize(gram_.small.size());
    mpi::agree(comm_, [&] {
        for (std::size_t s = 0; s < gram_.small.size(); ++s) {
            const LocalComponent<T>& local = gram_.small[s];
            if (local.values.empty()) continue;
            if (vectors) {
                dense::SymmetricEigen eigen = dense::symmetric_eigen(symmetric(local));
                mine.insert(mine.end(), eigen.values.begin(), eigen.values.end());
                small_vectors_[s] = std::move(eigen.vectors);
            } else {
                const auto some = dense::symmetric_eigenvalues(symmetric(local));
                mine.insert(mine.end(), some.begin(), some.end());
            }
        }
    });
    const auto all = mpi::all_gather_all<double>(comm_, mine);
    values_.resize(large() + gram_.small.size());
    auto next = all.begin();
    for (int rank = 0; rank < comm_.size(); ++rank)
        for (std::size_t s = static_cast<std::size_t>(rank); s < gram_.small.size();
             s += static_cast<std::size_t>(comm_.size())) {
            values_[large() + s].assign(next, next + gram_.small[s].size);
            next += gram_.small[s].size;
        }
}

template <typename T>
SmallMatrix GramSolution<T>::leading_vectors(std::size_t component, std::int64_t count, Progress& progress) {
    if (component < large()) return solvers_[component].leading_vectors(count, progress);
    const std::size_t s = component - large();
    SmallMatrix result(gram_.small[s].size, count);
    if (comm_.rank() == owner(s))
        std::copy_n(small_vectors_[s].data(), gram_.small[s].size * count, result.data());
    mpi::broadcast(comm_, result.values(), owner(s));
    return result;
}

template <typename T>
SmallMatrix GramSolution<T>::small_product(std::size_t component, const SmallMatrix& x) const {
    const std::size_t s = component - large();
    SmallMatrix result(x.rows(), x.columns());
    if (comm_.rank() == owner(s)) result = dense::product(symmetric(gram_.small[s]), x);
    mpi::broadcast(comm_, result.values(), owner(s));
    return result;
}

template class GramSolution<double>;
template class GramSolution<float>;

}  // namespace eckart::svd
