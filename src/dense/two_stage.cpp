#include "eckart/dense/two_stage.hpp"

#include "eckart/base/error.hpp"
#include "eckart/dense/band_reduction.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>

namespace eckart::dense {

namespace {

/// Columns of rank `rank` when `count` are dealt out in consecutive shares.
std::int64_t first_column(std::int64_t count, int rank, int ranks) {
    return count * rank / ranks;
}

/// X (3 - X'X) / 2: a step of Newton and Schulz makes nearly orthonormal columns orthonormal (error d becomes
/// d^2), and mixes only those that were not.
SmallMatrix polished(const SmallMatrix& x) {
    SmallMatrix turn = transposed_product(x, x);
    for (std::int64_t j = 0; j < turn.columns(); ++j)
        for (std::int64_t i = 0; i < turn.rows(); ++i)
            turn.at(i, j) = (i == j ? 1.5 : 0.0) - 0.5 * turn.at(i, j);
    return product(x, turn);
}

}  // namespace

template <typename T>
TwoStage<T>::TwoStage(SymmetricColumns<T>& matrix, Vectors vectors, int threads, Progress& progress,
                      const std::function<void()>& may_stop)
    : matrix_(&matrix), may_stop_(may_stop) {
    const mpi::Communicator& comm = matrix.comm();
    require_finite(matrix);
    BandMatrix band = reduce_to_band(matrix, progress, may_stop);
    if (vectors == Vectors::later) chase_.emplace(matrix.size(), comm.is_root());
    if (comm.is_root()) {
        tridiagonal_ = reduce_to_tridiagonal(band, threads, chase_ ? &*chase_ : nullptr);
        values_ = eigenvalues(tridiagonal_);
    }
    comm.quiet_barrier();  // the others leave it their cores
    values_ = mpi::broadcast(comm, std::move(values_));
}

template <typename T>
SmallMatrix TwoStage<T>::leading_vectors(std::int64_t count, Progress& progress) {
    const mpi::Communicator& comm = matrix_->comm();
    const std::int64_t n = matrix_->size(), padded = matrix_->padded_size();
    progress.begin(fmt::format("{} eigenvectors", count));
    SmallMatrix all(n, count);
    mpi::agree(comm, [&] {
        if (!comm.is_root()) return;
        const std::vector<double> found = dense::leading_vectors(tridiagonal_, count);
        std::copy(found.begin(), found.end(), all.data());
    });
    mpi::broadcast(comm, all.values());
    may_stop_();
    const std::int64_t first = first_column(count, comm.rank(), comm.size()),
                       mine = first_column(count, comm.rank() + 1, comm.size()) - first;
    std::vector<double> x(static_cast<std::size_t>(padded * mine));
    for (std::int64_t c = 0; c < mine; ++c)
        std::copy_n(all.data() + (first + c) * n, n, x.data() + c * padded);
    apply(comm, *chase_, x, padded);
    may_stop_();
    apply_reflectors(*matrix_, x);
    for (std::int64_t c = 0; c < mine; ++c)  // closes the gaps
        std::copy_n(x.data() + c * padded, n, x.data() + c * n);
    x.resize(static_cast<std::size_t>(n * mine));
    x = mpi::all_gather_all<double>(comm, x);
    std::copy(x.begin(), x.end(), all.data());
    all = polished(all);
    progress.end();
    return all;
}

template class TwoStage<double>;
template class TwoStage<float>;

}  // namespace eckart::dense
