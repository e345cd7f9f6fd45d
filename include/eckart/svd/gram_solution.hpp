#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/eigenvalues.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/dense/two_stage.hpp"
#include "eckart/svd/cross_product.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace eckart::svd {

/// All eigenvalues of a cross product, component by component, and then leading eigenvectors of them: the
/// large components over all ranks, one after the other, the small ones each on the rank that holds it.
template <typename T>
class GramSolution {
public:
    /// Uses up the large components, which must outlive this. `vectors`: some may be asked for. Collective.
    /// Throws `Interrupted`, saying what is `safe`, soon after a stop was requested.
    GramSolution(const mpi::Communicator& comm, CrossProduct<T>& gram, dense::Eigensolver solver,
                 bool vectors, const std::string& safe, Progress& progress);

    /// Which solver took how many components.
    std::string description() const;
    /// Of each component, descending, on every rank.
    const std::vector<std::vector<double>>& values() const { return values_; }
    /// Eigenvectors of a component's `count` largest values, on every rank. Shape: its size x count. Requires
    /// `vectors`. Collective.
    dense::SmallMatrix leading_vectors(std::size_t component, std::int64_t count, Progress& progress);
    /// G x for a small component, from the rank that holds it. Collective.
    dense::SmallMatrix small_product(std::size_t component, const dense::SmallMatrix& x) const;

private:
    void solve_large(dense::Eigensolver solver, bool vectors, const std::string& safe, Progress& progress);
    void solve_small(bool vectors);
    std::vector<double> solved(dense::SymmetricColumns<T>& matrix, dense::Eigensolver solver, bool vectors,
                               const std::string& safe, Progress& progress);
    std::size_t large() const { return gram_.large.size(); }
    int owner(std::size_t small) const { return small_owner(small, comm_.size()); }

    const mpi::Communicator& comm_;
    CrossProduct<T>& gram_;
    std::vector<std::vector<double>> values_;
    std::vector<dense::Eigensolver> taken_;          // by the large ones
    std::vector<dense::TwoStage<T>> solvers_;        // of the large ones, when vectors may be asked for
    std::vector<dense::SmallMatrix> small_vectors_;  // all of each small one, on its rank
};

}  // namespace eckart::svd
