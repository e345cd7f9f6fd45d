#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::dense {

/// A small matrix that every rank holds whole, column-major.
class SmallMatrix {
public:
    SmallMatrix() = default;
    SmallMatrix(std::int64_t rows, std::int64_t columns)
        : rows_(rows), columns_(columns), values_(static_cast<std::size_t>(rows * columns)) {}

    std::int64_t rows() const { return rows_; }
    std::int64_t columns() const { return columns_; }
    double& at(std::int64_t i, std::int64_t j) { return values_[static_cast<std::size_t>(j * rows_ + i)]; }
    double at(std::int64_t i, std::int64_t j) const {
        return values_[static_cast<std::size_t>(j * rows_ + i)];
    }
    double* data() { return values_.data(); }
    const double* data() const { return values_.data(); }
    std::span<double> values() { return values_; }

private:
    std::int64_t rows_ = 0;
    std::int64_t columns_ = 0;
    std::vector<double> values_;
};

SmallMatrix diagonal_matrix(std::span<const double> diagonal);
SmallMatrix product(const SmallMatrix& a, const SmallMatrix& b);
SmallMatrix transposed_product(const SmallMatrix& a, const SmallMatrix& b);  // a'b

/// Some consecutive columns of a tall matrix.
struct Columns {
    const double* data = nullptr;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
};

/// A matrix of many rows, spread by rows over the ranks; this rank holds its rows, column-major, so that
/// columns are appended in place.
class TallMatrix {
public:
    explicit TallMatrix(std::int64_t local_rows, std::int64_t columns = 0)
        : rows_(local_rows), columns_(columns), values_(static_cast<std::size_t>(local_rows * columns)) {}

    std::int64_t rows() const { return rows_; }
    std::int64_t columns() const { return columns_; }
    double* column(std::int64_t j) { return values_.data() + j * rows_; }
    const double* column(std::int64_t j) const { return values_.data() + j * rows_; }
    std::span<double> values() { return values_; }
    std::span<const double> values() const { return values_; }
    Columns part(std::int64_t first, std::int64_t count) const { return {column(first), rows_, count}; }
    operator Columns() const { return part(0, columns_); }

    void reserve(std::int64_t columns) { values_.reserve(static_cast<std::size_t>(rows_ * columns)); }
    void append(const TallMatrix& more);
    void truncate(std::int64_t columns);

private:
    std::int64_t rows_;
    std::int64_t columns_;
    std::vector<double> values_;
};

/// a'b, the same numbers on every rank. Collective.
SmallMatrix inner_product(const mpi::Communicator& comm, Columns a, Columns b);
/// a c for the first `c.columns()` columns. Local.
TallMatrix product(Columns a, const SmallMatrix& c);
/// y -= a c. Local.
void subtract_product(TallMatrix& y, Columns a, const SmallMatrix& c);
/// y := y c in place, a few rows at a time; y then has c's columns. Local. Requires a c no wider than high.
void multiply_in_place(TallMatrix& y, const SmallMatrix& c);

/// Makes the columns of `block` orthonormal, and orthogonal to the columns of each of `bases` (which are
/// orthonormal together). Directions that the bases hold already, to the last digits, are dropped, so fewer
/// columns may come back. Collective.
/// Reference: Stathopoulos and Wu 2002 (orthogonalisation through the singular vectors of the block).
void orthonormalise(const mpi::Communicator& comm, std::span<const Columns> bases, TallMatrix& block);

/// Eigenvalues, descending, of a symmetric matrix whose lower triangle is read. Local.
std::vector<double> symmetric_eigenvalues(SmallMatrix matrix);
/// The same by the first rank, or in two stages over all ranks where that is faster. Collective.
std::vector<double> symmetric_eigenvalues(const mpi::Communicator& comm, const SmallMatrix& matrix);
struct SymmetricEigen {
    std::vector<double> values;  ///< descending
    SmallMatrix vectors;         ///< column i belongs to value i
};
SymmetricEigen symmetric_eigen(SmallMatrix matrix);
/// Found by the first rank, so that every rank has the same bits. Collective.
SymmetricEigen symmetric_eigen(const mpi::Communicator& comm, const SmallMatrix& matrix);

}  // namespace eckart::dense
