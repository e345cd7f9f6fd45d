#include "eckart/dense/tall_matrix.hpp"

#include "blas.hpp"
#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/dense/eigenvalues.hpp"
#include "eckart/dense/two_stage.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

extern "C" void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda,
                        double* w, double* work, const int* lwork, int* iwork, const int* liwork, int* info);

namespace eckart::dense {

namespace {

View<const double> view(Columns a) {
    return {a.data, a.rows, a.columns, std::max<std::int64_t>(a.rows, 1)};
}
View<double> view(TallMatrix& a) {
    return {a.values().data(), a.rows(), a.columns(), std::max<std::int64_t>(a.rows(), 1)};
}
View<const double> view(const SmallMatrix& a) {
    return {a.data(), a.rows(), a.columns(), std::max<std::int64_t>(a.rows(), 1)};
}
View<double> view(SmallMatrix& a) {
    return {a.data(), a.rows(), a.columns(), std::max<std::int64_t>(a.rows(), 1)};
}

/// Eigenvalues ascending; with `vectors` the matrix becomes its eigenvectors.
std::vector<double> solve(SmallMatrix& matrix, bool vectors) {
    const int n = narrow<int>(matrix.rows());
    std::vector<double> values(static_cast<std::size_t>(n));
    if (n == 0) return values;
    const char job = vectors ? 'V' : 'N';
    int info = 0, integers = 0;
    const int query = -1;
    double best = 0;
    dsyevd_(&job, "L", &n, matrix.data(), &n, values.data(), &best, &query, &integers, &query, &info);
    const std::int64_t size = std::max<std::int64_t>(static_cast<std::int64_t>(best), 64) + 64;
    std::vector<double> work(static_cast<std::size_t>(size));
    std::vector<int> integer_work(static_cast<std::size_t>(integers));
    const int length = narrow<int>(size);
    dsyevd_(&job, "L", &n, matrix.data(), &n, values.data(), work.data(), &length, integer_work.data(),
            &integers, &info);
    require(info == 0, "dsyevd of order {} failed with INFO {}", n, info);
    return values;
}

std::vector<double> column_norms(const mpi::Communicator& comm, const TallMatrix& block) {
    std::vector<double> norms;
    for (std::int64_t j = 0; j < block.columns(); ++j) {
        const double* const column = block.column(j);
        double sum = 0;
        for (std::int64_t i = 0; i < block.rows(); ++i) sum += column[i] * column[i];
        norms.push_back(sum);
    }
    mpi::all_sum(comm, std::span(norms));
    for (double& norm : norms) norm = std::sqrt(norm);
    return norms;
}

/// Scales the columns to length one; drops those shorter than 1e-12 of what they were. Returns the largest
/// scale, relative to what the column was.
double normalise_columns(const mpi::Communicator& comm, TallMatrix& block,
                         const std::vector<double>& before) {
    const std::vector<double> norms = column_norms(comm, block);
    std::int64_t kept = 0;
    double largest = 1;
    for (std::int64_t j = 0; j < block.columns(); ++j) {
        const double norm = norms[static_cast<std::size_t>(j)];
        if (!(norm > 1e-12 * before[static_cast<std::size_t>(j)])) continue;
        largest = std::max(largest, before[static_cast<std::size_t>(j)] / norm);
        const double* const from = block.column(j);
        double* const to = block.column(kept++);
        for (std::int64_t i = 0; i < block.rows(); ++i) to[i] = from[i] / norm;
    }
    block.truncate(kept);
    return largest;
}

}  // namespace

SmallMatrix diagonal_matrix(std::span<const double> diagonal) {
    const auto n = static_cast<std::int64_t>(diagonal.size());
    SmallMatrix result(n, n);
    for (std::int64_t i = 0; i < n; ++i) result.at(i, i) = diagonal[static_cast<std::size_t>(i)];
    return result;
}

SmallMatrix product(const SmallMatrix& a, const SmallMatrix& b) {
    SmallMatrix c(a.rows(), b.columns());
    multiply(1.0, Op::plain, view(a), Op::plain, view(b), 0.0, view(c));
    return c;
}

SmallMatrix transposed_product(const SmallMatrix& a, const SmallMatrix& b) {
    SmallMatrix c(a.columns(), b.columns());
    multiply(1.0, Op::transposed, view(a), Op::plain, view(b), 0.0, view(c));
    return c;
}

void TallMatrix::append(const TallMatrix& more) {
    values_.insert(values_.end(), more.values_.begin(), more.values_.end());
    columns_ += more.columns_;
}

void TallMatrix::truncate(std::int64_t columns) {
    columns_ = columns;
    values_.resize(static_cast<std::size_t>(rows_ * columns));
}

SmallMatrix inner_product(const mpi::Communicator& comm, Columns a, Columns b) {
    SmallMatrix c(a.columns, b.columns);
    if (a.rows > 0) multiply(1.0, Op::transposed, view(a), Op::plain, view(b), 0.0, view(c));
    mpi::all_sum(comm, c.values());
    return c;
}

TallMatrix product(Columns a, const SmallMatrix& c) {
    TallMatrix y(a.rows, c.columns());
    multiply(1.0, Op::plain, view(a), Op::plain, view(c), 0.0, view(y));
    return y;
}

void subtract_product(TallMatrix& y, Columns a, const SmallMatrix& c) {
    if (a.columns > 0) multiply(-1.0, Op::plain, view(a), Op::plain, view(c), 1.0, view(y));
}

void multiply_in_place(TallMatrix& y, const SmallMatrix& c) {
    constexpr std::int64_t rows_at_once = 256;
    SmallMatrix part(rows_at_once, c.columns());
    const View<double> all = view(y), result = view(part);
    for (std::int64_t first = 0; first < y.rows(); first += rows_at_once) {
        const std::int64_t rows = std::min(rows_at_once, y.rows() - first);
        multiply(1.0, Op::plain, all.part(first, 0, rows, y.columns()), Op::plain, view(c), 0.0,
                 result.part(0, 0, rows, c.columns()));
        for (std::int64_t j = 0; j < c.columns(); ++j)
            std::copy_n(part.data() + j * rows_at_once, rows, y.column(j) + first);
    }
    y.truncate(c.columns());
}

void orthonormalise(const mpi::Communicator& comm, std::span<const Columns> bases, TallMatrix& block) {
    constexpr int rounds = 6;
    constexpr double orthonormal = 1e-13, dependent = 1e-13, harmless = 30;
    double magnified = 2 * harmless;  // how far the last round has blown up what rounding left of the bases
    for (int round = 0; round < rounds && block.columns() > 0; ++round) {
        const std::vector<double> before = column_norms(comm, block);
        const bool projects = magnified > harmless;
        for (const Columns& basis : bases)
            if (projects && basis.columns > 0)
                subtract_product(block, basis, inner_product(comm, basis, block));
        magnified = normalise_columns(comm, block, before);
        if (block.columns() == 0) return;
        const SymmetricEigen eigen = symmetric_eigen(comm, inner_product(comm, block, block));
        const double largest = eigen.values.front();
        if (!projects && eigen.values.back() > 1 - orthonormal && largest < 1 + orthonormal) return;
        const auto kept = std::count_if(eigen.values.begin(), eigen.values.end(),
                                        [&](double value) { return value > dependent * largest; });
        magnified *= std::sqrt(largest / eigen.values[static_cast<std::size_t>(kept - 1)]);
        SmallMatrix turn(block.columns(), kept);
        for (std::int64_t j = 0; j < kept; ++j)
            for (std::int64_t i = 0; i < block.columns(); ++i)
                turn.at(i, j) = eigen.vectors.at(i, j) / std::sqrt(eigen.values[static_cast<std::size_t>(j)]);
        multiply_in_place(block, turn);
    }
}

std::vector<double> symmetric_eigenvalues(SmallMatrix matrix) {
    std::vector<double> values = solve(matrix, false);
    std::reverse(values.begin(), values.end());
    return values;
}

std::vector<double> symmetric_eigenvalues(const mpi::Communicator& comm, const SmallMatrix& matrix) {
    if (matrix.rows() <= lapack_wins_up_to) {
        std::vector<double> values(static_cast<std::size_t>(matrix.rows()));
        mpi::agree(comm, [&] {
            if (comm.is_root()) values = symmetric_eigenvalues(matrix);
        });
        mpi::broadcast(comm, std::span(values));
        return values;
    }
    SymmetricColumns<double> columns(comm, matrix.rows());
    for (std::int64_t j = 0; j < matrix.rows(); ++j)
        if (columns.is_mine(columns.block_of(j)))
            std::copy_n(matrix.data() + j * matrix.rows() + j, matrix.rows() - j, columns.at(j, j));
    Progress silent = Progress::silent();
    std::vector<double> values =
        TwoStage<double>(columns, TwoStage<double>::Vectors::never, available_cores(), silent).values();
    std::reverse(values.begin(), values.end());
    return values;
}

SymmetricEigen symmetric_eigen(SmallMatrix matrix) {
    std::vector<double> values = solve(matrix, true);
    const std::int64_t n = matrix.rows();
    std::reverse(values.begin(), values.end());
    for (std::int64_t j = 0; j < n / 2; ++j)
        std::swap_ranges(matrix.data() + j * n, matrix.data() + (j + 1) * n, matrix.data() + (n - 1 - j) * n);
    return {std::move(values), std::move(matrix)};
}

SymmetricEigen symmetric_eigen(const mpi::Communicator& comm, const SmallMatrix& matrix) {
    SymmetricEigen eigen;
    mpi::agree(comm, [&] {
        if (comm.is_root()) eigen = symmetric_eigen(matrix);
    });
    eigen.values.resize(static_cast<std::size_t>(matrix.rows()));
    if (!comm.is_root()) eigen.vectors = SmallMatrix(matrix.rows(), matrix.rows());
    mpi::broadcast(comm, std::span(eigen.values));
    mpi::broadcast(comm, eigen.vectors.values());
    return eigen;
}

}  // namespace eckart::dense
