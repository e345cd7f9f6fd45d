#include "eckart/dense/eigenvalues.hpp"

#include "eckart/base/error.hpp"
#include "eckart/dense/band_matrix.hpp"
#include "eckart/dense/band_reduction.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "fortran.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

namespace eckart::dense {

namespace {

void require_finite(const BlockCyclicMatrix<double>& matrix) {
    const std::int64_t size = matrix.rows().local_size() * matrix.columns().local_size();
    const bool bad =
        std::any_of(matrix.data(), matrix.data() + size, [](double x) { return !std::isfinite(x); });
    if (mpi::any(matrix.grid().comm(), bad))
        throw mpi::SharedError<Error>("the matrix of an eigenvalue problem holds a value that is not finite");
}

template <typename T>
void require_finite(const SymmetricColumns<T>& matrix) {
    bool bad = false;
    for (std::int64_t block = 0; block < matrix.block_count(); ++block)
        for (const T x : matrix.storage(block)) bad = bad || !std::isfinite(x);
    if (mpi::any(matrix.comm(), bad))
        throw mpi::SharedError<Error>("the matrix of an eigenvalue problem holds a value that is not finite");
}

/// The lower triangle, in tiles over a grid; block after block is sent to all and given up.
template <typename T>
BlockCyclicMatrix<double> to_tiles(SymmetricColumns<T>& matrix, const ProcessGrid& grid) {
    constexpr std::int64_t tile = 64;
    BlockCyclicMatrix<double> tiles(grid, matrix.size(), matrix.size(), tile);
    for (std::int64_t block = 0; block < matrix.block_count(); ++block) {
        std::vector<T> values = std::move(matrix.storage(block));
        values = mpi::broadcast(matrix.comm(), std::move(values), matrix.owner(block));
        const std::int64_t first = matrix.first(block);
        for (std::int64_t j = 0; j < tiles.columns().local_size(); ++j) {
            const std::int64_t column = tiles.columns().global(j);
            if (matrix.block_of(column) != block) continue;
            const T* from = values.data() + (column - first) * matrix.rows(block);
            for (std::int64_t i = 0; i < tiles.rows().local_size(); ++i)
                if (const std::int64_t row = tiles.rows().global(i); row >= column)
                    tiles.at(i, j) = static_cast<double>(from[row - first]);
        }
    }
    return tiles;
}

/// One ELPA problem; ELPA itself is initialised once and left so.
class Elpa {
public:
    explicit Elpa(const BlockCyclicMatrix<double>& matrix) {
        constexpr int api_version = 20221109;
        require(elpa_init(api_version) == 0, "this ELPA does not offer its interface of version {}",
                api_version);
        int error = 0;
        handle_.reset(elpa_allocate(&error));
        const int n = narrow<int>(matrix.rows().size);
        set("na", n);
        set("nev", n);
        set("local_nrows", narrow<int>(matrix.leading_dimension()));
        set("local_ncols", narrow<int>(matrix.columns().local_size()));
        set("nblk", narrow<int>(matrix.rows().block));
        set("mpi_comm_parent", matrix.grid().comm().fortran_handle());
        set("process_row", matrix.grid().row());
        set("process_col", matrix.grid().column());
        succeed(elpa_setup(handle_.get()), "setup");
        constexpr int two_stage = 2;
        set("solver", two_stage);
    }
    std::vector<double> eigenvalues(BlockCyclicMatrix<double>& matrix) {
        std::vector<double> values(static_cast<std::size_t>(matrix.rows().size));
        int error = 0;
        elpa_eigenvalues_double(handle_.get(), matrix.data(), values.data(), &error);
        succeed(error, "eigenvalues");
        return values;
    }

private:
    void set(const char* name, int value) {
        int error = 0;
        elpa_set_integer(handle_.get(), name, value, &error);
        succeed(error, name);
    }
    static void succeed(int error, const char* what) {
        require(error == 0, "ELPA failed ({}): {}", what, elpa_strerr(error));
    }
    struct Free {
        void operator()(elpa_struct* handle) const {
            int ignored = 0;
            elpa_deallocate(handle, &ignored);
        }
    };
    std::unique_ptr<elpa_struct, Free> handle_;
};

/// Waits for a broadcast from the root without taking its cores: the ranks that wait sleep between looks.
std::vector<double> broadcast_quietly(const mpi::Communicator& comm, std::vector<double> values) {
    comm.quiet_barrier();
    return mpi::broadcast(comm, std::move(values));
}

std::vector<double> by_lapack_on_root(BlockCyclicMatrix<double>& matrix, int node_cores) {
    const mpi::Communicator& comm = matrix.grid().comm();
    std::vector<double> whole = gather_to_root(matrix), values;
    matrix.storage() = {};  // the gathered copy takes its place
    const std::int64_t n = matrix.rows().size;
    if (comm.is_root()) {
        set_blas_threads(node_cores);
        values = local_eigenvalues(whole, n);
        set_blas_threads(1);
    }
    return broadcast_quietly(comm, std::move(values));
}

std::vector<double> by_scalapack(BlockCyclicMatrix<double>& matrix) {
    const int n = narrow<int>(matrix.rows().size), one = 1, query = -1;
    const auto descriptor = matrix.descriptor();
    std::vector<double> values(static_cast<std::size_t>(n));
    double work_size = 0, unused = 0;
    int iwork_size = 0, info = 0;
    pdsyevd_("N", "L", &n, matrix.data(), &one, &one, descriptor.data(), values.data(), &unused, &one, &one,
             descriptor.data(), &work_size, &query, &iwork_size, &query, &info);
    // The query is known to fall short (Reference-ScaLAPACK issue 74): room for whole panels is added.
    const std::int64_t block = matrix.rows().block,
                       local = matrix.leading_dimension() + matrix.columns().local_size();
    const int lwork = narrow<int>(static_cast<std::int64_t>(work_size) + 8 * block * (local + block) + 8 * n),
              liwork = iwork_size + 8 * n + 64;
    std::vector<double> work(static_cast<std::size_t>(lwork));
    std::vector<int> iwork(static_cast<std::size_t>(liwork));
    pdsyevd_("N", "L", &n, matrix.data(), &one, &one, descriptor.data(), values.data(), &unused, &one, &one,
             descriptor.data(), work.data(), &lwork, iwork.data(), &liwork, &info);
    require(mpi::all_max(matrix.grid().comm(), std::int32_t{std::abs(info)}) == 0,
            "pdsyevd failed with INFO {}", info);
    return values;
}

}  // namespace

Eigensolver parse_eigensolver(const std::string& name) {
    for (const Eigensolver solver :
         {Eigensolver::two_stage, Eigensolver::elpa, Eigensolver::lapack, Eigensolver::scalapack})
        if (name_of(solver) == name) return solver;
    throw UsageError("--eigensolver is auto, two-stage, elpa, lapack or scalapack, not {}", name);
}

std::string name_of(Eigensolver solver) {
    switch (solver) {
        case Eigensolver::two_stage:
            return "two-stage";
        case Eigensolver::elpa:
            return "elpa";
        case Eigensolver::lapack:
            return "lapack";
        case Eigensolver::scalapack:
            return "scalapack";
    }
    return {};
}

template <typename T>
std::vector<double> eigenvalues(SymmetricColumns<T>& matrix, Eigensolver solver, int node_cores,
                                Progress& progress) {
    require_finite(matrix);
    if (solver != Eigensolver::two_stage) {
        const ProcessGrid grid(matrix.comm());
        BlockCyclicMatrix<double> tiles = to_tiles(matrix, grid);
        return eigenvalues(tiles, solver, node_cores);
    }
    BandMatrix band = reduce_to_band(matrix, progress);
    std::vector<double> values;
    if (matrix.comm().is_root()) values = eigenvalues(reduce_to_tridiagonal(band, node_cores));
    return broadcast_quietly(matrix.comm(), std::move(values));
}
template std::vector<double> eigenvalues(SymmetricColumns<double>&, Eigensolver, int, Progress&);
template std::vector<double> eigenvalues(SymmetricColumns<float>&, Eigensolver, int, Progress&);

std::vector<double> eigenvalues(BlockCyclicMatrix<double>& matrix, Eigensolver solver, int node_cores) {
    require_finite(matrix);
    const std::int64_t n = matrix.rows().size;
    // Below a few tiles the distributed solvers gain nothing and are known to fail (n near or below the
    // tile).
    constexpr std::int64_t few_tiles = 8;
    if (solver == Eigensolver::lapack || n < few_tiles * matrix.rows().block)
        return by_lapack_on_root(matrix, node_cores);
    symmetrise_from_lower(matrix);
    return solver == Eigensolver::elpa ? Elpa(matrix).eigenvalues(matrix) : by_scalapack(matrix);
}

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
