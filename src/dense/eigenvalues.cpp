#include "eckart/dense/eigenvalues.hpp"

#include "eckart/base/error.hpp"
#include "eckart/dense/tiled_matrix.hpp"
#include "eckart/mpi/collectives.hpp"

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
    for (const Eigensolver solver : {Eigensolver::two_stage, Eigensolver::scalapack})
        if (name_of(solver) == name) return solver;
    throw UsageError("--eigensolver is auto, two-stage or scalapack, not {}", name);
}

std::string name_of(Eigensolver solver) {
    return solver == Eigensolver::two_stage ? "two-stage" : "scalapack";
}

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

std::int64_t scalapack_bytes(std::int64_t size, int ranks) {
    constexpr std::int64_t tile = 64;
    return 8 * (size * size / ranks + work_size(size, tile, 2 * size) + 16 * size);
}

}  // namespace eckart::dense
