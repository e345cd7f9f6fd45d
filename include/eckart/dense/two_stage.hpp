#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/band_matrix.hpp"
#include "eckart/dense/symmetric_columns.hpp"
#include "eckart/dense/tall_matrix.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace eckart::dense {

/// All eigenvalues of a symmetric matrix A = Q1 B Q1' = Q1 Q2 T Q2' Q1' (full to band B over all ranks, band
/// to tridiagonal T and its eigenvalues on the first one), and then as many of its leading eigenvectors Q1 Q2
/// y as are asked for. Backward stable: the values are those of A + E, ||E|| <= c(n) eps ||A||.
template <typename T>
class TwoStage {
public:
    enum class Vectors { later, never };

    /// Finds the values; the matrix, which must outlive this, is used up. `threads`: of the first rank, while
    /// the others wait. `may_stop`: as in `reduce_to_band`, and kept for the vectors. Collective. Throws
    /// `Error` when the matrix holds a value that is not finite.
    TwoStage(
        SymmetricColumns<T>& matrix, Vectors vectors, int threads, Progress& progress,
        const std::function<void()>& may_stop = [] {});

    /// Ascending, on every rank.
    const std::vector<double>& values() const { return values_; }
    /// Eigenvectors of the `count` largest values, the largest first, on every rank. Shape: size x count.
    /// Requires `Vectors::later`. Collective. Cost: 5 n^2 flops a vector over the ranks.
    SmallMatrix leading_vectors(std::int64_t count, Progress& progress);

    /// Bytes that the first rank holds for the vectors beside the matrix.
    static std::int64_t vectors_bytes(std::int64_t size) { return ChaseReflectors::bytes(size); }

private:
    SymmetricColumns<T>* matrix_;
    std::function<void()> may_stop_;
    std::optional<ChaseReflectors> chase_;
    Tridiagonal tridiagonal_;  // on the first rank
    std::vector<double> values_;
};

}  // namespace eckart::dense
