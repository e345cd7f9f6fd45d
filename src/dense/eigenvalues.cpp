#include "eckart/dense/eigenvalues.hpp"

#include "eckart/base/error.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/dense/tiled_matrix.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cstdlib>

extern "C" void pdsyev_(const char* jobz, const char* uplo, const int* n, double* a, const int* ia,
                        const int* ja, const int* desc_a, double* w, double* z, const int* iz, const int* jz,
                        const int* desc_z, double* work, const int* lwork, int* info);

namespace eckart::dense {

namespace {

/// ScaLAPACK's own answer to a query is known to fall short (Reference-ScaLAPACK issue 74): this is above
/// what its drivers and their parts document, in panels of tiles and in vectors.
std::int64_t work_size(std::int64_t size, std::int64_t tile, std::int64_t local_rows_and_columns) {
    return 32 * size + 8 * tile * (local_rows_and_columns + tile);
}

}  // namespace

Eigensolver parse_eigensolver(const std::string& name) {
    for (const Eigensolver solver :
         {Eigensolver::automatic, Eigensolver::two_stage, Eigensolver::lapack, Eigensolver::scalapack})
        if (name_of(solver) == name) return solver;
    throw UsageError("--eigensolver is auto, two-stage, lapack or scalapack, not {}", name);
}

std::string name_of(Eigensolver solver) {
    switch (solver) {
        case Eigensolver::automatic:
            return "auto";
        case Eigensolver::two_stage:
            return "two-stage";
        case Eigensolver::lapack:
            return "lapack";
        case Eigensolver::scalapack:
            break;
    }
    return "scalapack";
}

Eigensolver chosen(Eigensolver asked, std::int64_t order, bool vectors) {
    if (asked != Eigensolver::automatic) return asked;
    return order <= lapack_wins_up_to && !vectors ? Eigensolver::lapack : Eigensolver::two_stage;
}

bool gives_vectors(Eigensolver asked) {
    return asked == Eigensolver::automatic || asked == Eigensolver::two_stage;
}

template <typename T>
std::vector<double> eigenvalues_by_lapack(const SymmetricColumns<T>& matrix) {
    require_finite(matrix);
    const mpi::Communicator& comm = matrix.comm();
    SmallMatrix square(comm.is_root() ? matrix.size() : 0, comm.is_root() ? matrix.size() : 0);
    for (std::int64_t block = 0; block < matrix.block_count(); ++block) {
        const std::vector<T> values = mpi::broadcast(comm, matrix.storage(block), matrix.owner(block));
        const std::int64_t first = matrix.first(block), rows = matrix.rows(block),
                           end = std::min(first + matrix.columns(block), square.columns());
        for (std::int64_t j = first; j < end; ++j)
            std::copy_n(values.data() + (j - first) * (rows + 1), square.rows() - j, &square.at(j, j));
    }
    std::vector<double> ascending;
    mpi::agree(comm, [&] {
        ascending = symmetric_eigenvalues(std::move(square));
        std::reverse(ascending.begin(), ascending.end());
    });
    return mpi::broadcast(comm, std::move(ascending));
}
template std::vector<double> eigenvalues_by_lapack(const SymmetricColumns<double>&);
template std::vector<double> eigenvalues_by_lapack(const SymmetricColumns<float>&);

template <typename T>
std::vector<double> eigenvalues_by_scalapack(SymmetricColumns<T>& matrix) {
    require_finite(matrix);
    TiledMatrix tiles(matrix);
    const auto descriptor = tiles.descriptor();
    const int n = tiles.size(), one = 1;
    const int lwork = narrow<int>(work_size(n, tiles.tile(), tiles.local_rows() + tiles.local_columns()));
    std::vector<double> values(static_cast<std::size_t>(n)), work(static_cast<std::size_t>(lwork));
    double unused = 0;
    int info = 0;
    pdsyev_("N", "L", &n, tiles.values().data(), &one, &one, descriptor.data(), values.data(), &unused, &one,
            &one, descriptor.data(), work.data(), &lwork, &info);
    const auto worst = mpi::all_max(matrix.comm(), std::int32_t{std::abs(info)});
    require(worst == 0, "pdsyev failed: INFO {}", worst);
    return values;
}
template std::vector<double> eigenvalues_by_scalapack(SymmetricColumns<double>&);
template std::vector<double> eigenvalues_by_scalapack(SymmetricColumns<float>&);

std::int64_t solver_bytes(Eigensolver asked, std::int64_t size, int ranks) {
    constexpr std::int64_t tile = 64;
    if (asked == Eigensolver::two_stage) return 0;
    if (asked == Eigensolver::scalapack)
        return 8 * (size * size / ranks + work_size(size, tile, 2 * size) + 16 * size);
    const std::int64_t order = asked == Eigensolver::automatic ? std::min(size, lapack_wins_up_to) : size;
    return 8 * (order * order + 4 * tile * order);
}

}  // namespace eckart::dense
