#pragma once

#include <cstdint>
#include <vector>

namespace eckart::dense {

/// A symmetric matrix with `band` diagonals below the main one, and room for as many again to work in.
struct BandMatrix {
    static constexpr std::int64_t band = 64;
    static constexpr std::int64_t height = 2 * band;  ///< numbers stored of a column, from its diagonal down

    explicit BandMatrix(std::int64_t order)
        : size(order), values(static_cast<std::size_t>((order + height) * height)) {}

    /// Element (row, column). Requires column <= row < column + height.
    double& at(std::int64_t row, std::int64_t column) {
        return values[static_cast<std::size_t>(column * height + (row - column))];
    }

    std::int64_t size;
    std::vector<double> values;
};

/// A symmetric tridiagonal matrix.
struct Tridiagonal {
    std::vector<double> diagonal;
    std::vector<double> below;  ///< one shorter
};

/// The tridiagonal matrix with the same eigenvalues, on this rank's `threads`. Destroys the band matrix.
/// Cost: 6 n^2 band flops. Reference: Haidar, Ltaief and Dongarra 2011 (bulge chasing in pipelined sweeps).
Tridiagonal reduce_to_tridiagonal(BandMatrix& matrix, int threads);

/// All eigenvalues, ascending (dsterf).
std::vector<double> eigenvalues(Tridiagonal matrix);

}  // namespace eckart::dense
