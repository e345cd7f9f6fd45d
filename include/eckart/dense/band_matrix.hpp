#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <span>
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

    std::int64_t size() const { return static_cast<std::int64_t>(diagonal.size()); }
};

/// The reflectors I - tau v v' of a bulge chase, sweep after sweep: their product Q takes the tridiagonal
/// matrix back to the band matrix, B = Q T Q'. Reflector (sweep, step) works on the `band` rows from
/// sweep + 1 + step band. Half of n x n numbers.
class ChaseReflectors {
public:
    static constexpr std::int64_t band = BandMatrix::band;

    /// With the numbers, or without them, for the ranks that only help to apply them.
    ChaseReflectors(std::int64_t order, bool here);

    std::int64_t size() const { return size_; }
    std::int64_t sweeps() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
    std::int64_t steps(std::int64_t sweep) const { return offset(sweep + 1) - offset(sweep); }
    /// v, with tau in the place of its leading one.
    double* at(std::int64_t sweep, std::int64_t step) {
        return values_.data() + (offset(sweep) + step) * band;
    }
    /// The reflectors of `count` sweeps, one behind the other.
    std::span<double> of_sweeps(std::int64_t first, std::int64_t count) {
        return std::span(values_).subspan(
            static_cast<std::size_t>(offset(first) * band),
            static_cast<std::size_t>((offset(first + count) - offset(first)) * band));
    }
    std::int64_t offset(std::int64_t sweep) const { return offsets_[static_cast<std::size_t>(sweep)]; }

    static std::int64_t bytes(std::int64_t order);

private:
    std::int64_t size_;
    std::vector<std::int64_t> offsets_;  // of each sweep, in reflectors
    std::vector<double> values_;
};

/// The tridiagonal matrix with the same eigenvalues, on this rank's `threads`; the reflectors are left in
/// `kept` when it is given. Destroys the band matrix.
/// Cost: 6 n^2 band flops. Reference: Haidar, Ltaief and Dongarra 2011 (bulge chasing in pipelined sweeps).
Tridiagonal reduce_to_tridiagonal(BandMatrix& matrix, int threads, ChaseReflectors* kept = nullptr);

/// x := Q x for columns of length `leading` >= size, of which each rank brings its own; the reflectors come
/// from the root. Collective. Cost: 3 n^2 flops a column, in matrix products.
void apply(const mpi::Communicator& comm, ChaseReflectors& reflectors, std::vector<double>& x,
           std::int64_t leading);

/// All eigenvalues, ascending (dsterf).
std::vector<double> eigenvalues(Tridiagonal matrix);

/// Eigenvectors of the `count` largest eigenvalues, the largest first (dstemr: Dhillon and Parlett 2004).
/// Shape: size x count, column-major.
std::vector<double> leading_vectors(Tridiagonal matrix, std::int64_t count);

}  // namespace eckart::dense
