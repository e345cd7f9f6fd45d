#pragma once

#include "eckart/dense/tall_matrix.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace eckart::svd {

/// The interval.
///
/// Let G be symmetric and positive semidefinite, Q orthonormal with l columns, Theta = Q'GQ = diag(theta),
/// theta_1 >= theta_2 >= ..., R = GQ - Q Theta (so Q'R = 0), P = I - QQ', C = PGP. In a basis that begins
/// with Q, G is [[Theta, B'], [B, C]] with B'B = R'R =: E.
///
/// Lower: lambda_i >= theta_i (Cauchy interlacing).
///
/// Upper: let c >= ||C||. For mu > c, C - mu is negative definite, so by Haynsworth's inertia additivity G
/// has as many eigenvalues above mu as Theta - B'(C - mu)^-1 B, which is at most Theta + E/(mu - c) =: F(mu)
/// in the order of symmetric matrices. F falls as mu grows. Take any g > c and f_i = lambda_i(F(g)), m =
/// max(f_i, g). Then lambda_i(F(m)) <= lambda_i(F(g)) = f_i <= m, so at most i - 1 eigenvalues of G lie above
/// m:
///
///     lambda_i <= max(g, lambda_i(F(g)))   for every g > c and i <= l;      lambda_i <= c   for i > l.
///
/// Several g are tried and the least bound taken; the width is second order in R.
///
/// The number c: r Gaussian columns Omega, independent of Q, are projected by P, and rho is the largest Ritz
/// value of C on the block Krylov space [P Omega, C P Omega, ..., C^(k-1) P Omega]. For one column omega with
/// coordinates omega_j in the eigenbasis of C (order n = size - l): if rho <= a := (1 - e)||C||, then
/// sum_j p(lambda_j)^2 omega_j^2 (lambda_j - a) <= 0 for every polynomial p of degree < k. Take p with
/// y p(a(1 - y^2)) = T_{2k-1}(y) (Chebyshev; the quotient is even in y): p^2 (a - lambda) <= a on [0, a], and
/// at
/// ||C|| it is -a sinh^2((2k - 1) atanh(sqrt e)). So |omega_1| / |omega| <= 1/cosh((2k - 1) atanh(sqrt e)),
/// which happens to a Gaussian vector with probability below sqrt(2n/pi) / cosh((2k - 1) atanh(sqrt e)). With
/// r independent columns it must happen to all: the r-th power. Hence, except with probability delta,
///
///     ||C|| <= rho / (1 - e),   e = tanh^2( acosh( sqrt(2n/pi) delta^(-1/r) ) / (2k - 1) ).
///
/// Reference: Haynsworth 1968; Kuczynski and Wozniakowski 1992 (one column).
struct EigenvalueBounds {
    std::vector<double> lower;
    std::vector<double> upper;
    double beyond = 0;  ///< no eigenvalue after these lies above
};

/// All eigenvalues, descending, of a symmetric matrix whose lower triangle is read.
using Eigenvalues = std::function<std::vector<double>(const dense::SmallMatrix&)>;

/// Of the leading `theta.size()` eigenvalues, narrowest for the first `wanted`. `theta` descending;
/// `residual` is E in the Ritz basis; `c` >= ||C||; `rounding` is added on both sides. Cost: some six
/// symmetric eigenvalue problems of order l, by `eigenvalues` (collective if that is).
EigenvalueBounds eigenvalue_bounds(const std::vector<double>& theta, const dense::SmallMatrix& residual,
                                   double c, double rounding, std::int64_t wanted,
                                   const Eigenvalues& eigenvalues);

/// 1 / (1 - e): what the largest Ritz value of the probe is to be multiplied by.
double probe_factor(std::int64_t order, std::int64_t columns, std::int64_t passes,
                    double failure_probability);

}  // namespace eckart::svd
