#include "eckart/dense/row_qr.hpp"

#include "blas.hpp"
#include "eckart/base/error.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>

extern "C" void dgesvd_(const char* jobu, const char* jobvt, const int* m, const int* n, double* a,
                        const int* lda, double* s, double* u, const int* ldu, double* vt, const int* ldvt,
                        double* work, const int* lwork, int* info);

namespace eckart::dense {

namespace {

constexpr std::int64_t rows_a_column = 4;  // that wait, a column: the more, the less R itself costs

std::vector<double> values_of(SmallMatrix r) {
    const int n = narrow<int>(r.rows()), one = 1, length = std::max(1, 64 * n);
    std::vector<double> values(static_cast<std::size_t>(n)), work(static_cast<std::size_t>(length));
    int info = 0;
    if (n == 0) return values;
    dgesvd_("N", "N", &n, &n, r.data(), &n, values.data(), nullptr, &one, nullptr, &one, work.data(), &length,
            &info);
    require(info == 0, "dgesvd of order {} failed with INFO {}", n, info);
    return values;
}

}  // namespace

RowQr::RowQr(std::int64_t columns)
    : columns_(columns), stack_((1 + rows_a_column) * columns, columns), reflectors_(columns, columns) {}

std::int64_t RowQr::bytes(std::int64_t columns) {
    return (rows_a_column + 3) * columns * columns * static_cast<std::int64_t>(sizeof(double));
}

void RowQr::add(std::span<const double> row) {
    for (std::int64_t j = 0; j < columns_; ++j)
        stack_.at(columns_ + filled_, j) = row[static_cast<std::size_t>(j)];
    if (++filled_ == rows_a_column * columns_) factor();
}

void RowQr::factor() {
    const View<double> all{stack_.data(), columns_ + filled_, columns_, stack_.rows()};
    if (filled_ > 0 && columns_ > 0) qr(all, {reflectors_.data(), columns_, columns_, columns_});
    for (std::int64_t j = 0; j < columns_; ++j)
        std::fill_n(stack_.data() + j * stack_.rows() + j + 1, columns_ - j - 1, 0.0);
    filled_ = 0;
}

std::vector<double> RowQr::singular_values(const mpi::Communicator& comm) {
    factor();
    for (int step = 1; step < comm.size(); step *= 2) {  // a tree: R travels to the rank `step` below
        const bool sends = comm.rank() % (2 * step) == step;
        std::vector<double> mine;
        if (sends)
            for (std::int64_t i = 0; i < columns_; ++i)
                for (std::int64_t j = 0; j < columns_; ++j) mine.push_back(stack_.at(i, j));
        std::vector<std::int64_t> counts(static_cast<std::size_t>(comm.size()));
        if (sends) counts[static_cast<std::size_t>(comm.rank() - step)] = columns_ * columns_;
        const std::vector<double> rows = mpi::all_to_all<double>(comm, mine, counts).values;
        for (std::size_t at = 0; at < rows.size(); at += static_cast<std::size_t>(columns_))
            add(std::span(rows).subspan(at, static_cast<std::size_t>(columns_)));
        factor();
    }
    std::vector<double> values;
    mpi::agree(comm, [&] {
        SmallMatrix r(columns_, columns_);
        for (std::int64_t j = 0; j < columns_; ++j)
            std::copy_n(stack_.data() + j * stack_.rows(), columns_, r.data() + j * columns_);
        if (comm.is_root()) values = values_of(std::move(r));
    });
    return mpi::broadcast(comm, std::move(values));
}

}  // namespace eckart::dense
