#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/svd/panel_store.hpp"
#include "eckart/svd/symmetric_operator.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace eckart::svd {

struct KrylovSizes {
    std::int64_t block;     ///< columns added by a pass
    std::int64_t capacity;  ///< columns the basis may have
    std::int64_t kept;      ///< Ritz vectors that survive a restart
};

/// Columns [first, first + count) of an endless Gaussian matrix; the same on any number of ranks.
dense::TallMatrix gaussian(const SymmetricOperator& gram, std::uint64_t seed, std::int64_t first,
                           std::int64_t count);

/// Block Lanczos with full reorthogonalisation and thick restarts. Q is orthonormal, T = Q'GQ, and
///
///     G Q = Q T + F S + D,
///
/// where F is the next block, so that neither G Q nor the residuals R need storage. D is what
/// orthonormalising left out; its size is kept, and R'R <= (1 + e) S'S + (1 + 1/e) D'D for every e > 0. Ritz
/// vectors that have converged stay in the basis, where every new block is orthogonalised against them: they
/// are locked.
///
/// With `beyond`, an orthonormal basis, all of it happens for PGP, P the projection on what is orthogonal to
/// `beyond`.
/// Reference: Golub and Underwood 1977; Wu and Simon 2000 (thick restart).
class KrylovBasis {
public:
    KrylovBasis(SymmetricOperator& gram, const KrylovSizes& sizes, std::uint64_t seed,
                const dense::TallMatrix* beyond = nullptr);

    std::int64_t size() const { return q_.columns(); }
    std::int64_t passes() const { return passes_; }
    std::int64_t restarts() const { return restarts_; }
    /// It spans everything: the Ritz values are the eigenvalues.
    bool is_whole() const { return size() == order(); }
    const dense::TallMatrix& vectors() const { return q_; }
    const dense::SmallMatrix& projected() const { return t_; }

    /// One pass: adds the next block, after a restart when there is no room. Collective.
    void grow();
    /// Turns Q into Ritz vectors, best first; returns the Ritz values. Collective.
    std::vector<double> turn_to_ritz_vectors();
    /// A bound, in the order of symmetric matrices, on R'R for R = G Q - Q T: what the interval needs. Local.
    dense::SmallMatrix residual_product() const;
    /// || G y - (Q T + F S) c || / (||G|| || c ||) for y = Q c, c random, by one more product: how well the
    /// recurrence still holds. Collective.
    double recurrence_error();

    /// Leaves the state in `store` as after this pass, and `extra` with it. Collective. Throws `Error`.
    void save(PanelStore& store, const std::vector<double>& extra);
    /// Takes up the state that `store` holds; returns `extra`, or nothing when it holds none. Collective.
    std::optional<std::vector<double>> resume(PanelStore& store);

private:
    std::int64_t order() const { return gram_.size() - (beyond_ == nullptr ? 0 : beyond_->columns()); }
    std::vector<dense::Columns> bases() const;
    void extend_projected(const dense::SmallMatrix& projection);
    dense::SmallMatrix take_next(dense::TallMatrix residuals);
    void fill_next(std::int64_t wanted);
    void restart();
    void keep_leading(const dense::SymmetricEigen& eigen, std::int64_t kept);

    SymmetricOperator& gram_;
    KrylovSizes sizes_;
    std::uint64_t seed_;
    const dense::TallMatrix* beyond_;
    dense::TallMatrix q_;
    dense::SmallMatrix t_;
    dense::TallMatrix next_;       ///< F
    dense::SmallMatrix coupling_;  ///< S: F's columns x Q's columns
    double dropped_squared_ = 0;   ///< >= ||D||_F^2
    std::int64_t random_columns_;
    std::int64_t passes_ = 0;
    std::int64_t restarts_ = 0;
    bool turned_ = true;              ///< Q is not, or not yet, what the store holds
    std::vector<std::string> saved_;  ///< the store's panels that make up Q
    std::string saved_next_;
};

}  // namespace eckart::svd
