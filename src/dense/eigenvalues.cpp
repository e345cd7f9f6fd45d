#include "eckart/dense/eigenvalues.hpp"

#include "blas.hpp"
#include "eckart/base/error.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>

namespace eckart::dense {

namespace {

/// The lower triangle on the first rank, column-major; block after block is sent and given up.
template <typename T>
std::vector<double> gather_to_root(SymmetricColumns<T>& matrix) {
    const std::int64_t n = matrix.size();
    std::vector<double> whole(matrix.comm().is_root() ? static_cast<std::size_t>(n * n) : 0);
    for (std::int64_t block = 0; block < matrix.block_count(); ++block) {
        const std::vector<T> values =
            mpi::broadcast(matrix.comm(), std::move(matrix.storage(block)), matrix.owner(block));
        matrix.storage(block).clear();
        const std::int64_t first = matrix.first(block), end = std::min(n, first + matrix.columns(block));
        for (std::int64_t j = first; j < end && !whole.empty(); ++j)
            std::copy_n(values.data() + (j - first) * matrix.rows(block) + (j - first), n - j,
                        whole.data() + j * n + j);
    }
    return whole;
}

}  // namespace

Eigensolver parse_eigensolver(const std::string& name) {
    for (const Eigensolver solver : {Eigensolver::two_stage, Eigensolver::lapack})
        if (name_of(solver) == name) return solver;
    throw UsageError("--eigensolver is auto, two-stage or lapack, not {}", name);
}

std::string name_of(Eigensolver solver) {
    return solver == Eigensolver::two_stage ? "two-stage" : "lapack";
}

template <typename T>
std::vector<double> eigenvalues_by_lapack(SymmetricColumns<T>& matrix, int threads) {
    const mpi::Communicator& comm = matrix.comm();
    require_finite(matrix);
    std::vector<double> whole = gather_to_root(matrix), values;
    if (comm.is_root()) {
        const BlasThreads all(threads);
        values = local_eigenvalues(whole, matrix.size());
    }
    comm.quiet_barrier();
    return mpi::broadcast(comm, std::move(values));
}
template std::vector<double> eigenvalues_by_lapack(SymmetricColumns<double>&, int);
template std::vector<double> eigenvalues_by_lapack(SymmetricColumns<float>&, int);

std::vector<double> local_eigenvalues(std::vector<double>& matrix, std::int64_t size) {
    const int n = narrow<int>(size), query = -1;
    std::vector<double> values(static_cast<std::size_t>(size));
    if (n == 0) return values;
    double work_size = 0;
    int iwork_size = 0, info = 0;
    dsyevd_2stage_("N", "L", &n, matrix.data(), &n, values.data(), &work_size, &query, &iwork_size, &query,
                   &info);
    const int lwork = narrow<int>(static_cast<std::int64_t>(work_size)), liwork = iwork_size;
    std::vector<double> work(static_cast<std::size_t>(lwork));
    std::vector<int> iwork(static_cast<std::size_t>(liwork));
    dsyevd_2stage_("N", "L", &n, matrix.data(), &n, values.data(), work.data(), &lwork, iwork.data(), &liwork,
                   &info);
    require(info == 0, "dsyevd_2stage failed with INFO {}", info);
    return values;
}

}  // namespace eckart::dense
