#pragma once

// The distributed eigensolvers that Debian packages, for comparison: all eigenvalues of a symmetric matrix
// over a process grid. Eckart itself uses neither (bench/README.md says why).

#include "eckart/base/error.hpp"
#include "eckart/mpi/communicator.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

extern "C" {
int Csys2blacs_handle(MPI_Comm comm);
void Cblacs_gridinit(int* context, const char* order, int rows, int columns);
void Cblacs_gridexit(int context);
void pdsyevr_(const char* jobz, const char* range, const char* uplo, const int* n, double* a, const int* ia,
              const int* ja, const int* desc_a, const double* vl, const double* vu, const int* il,
              const int* iu, int* m, int* nz, double* w, double* z, const int* iz, const int* jz,
              const int* desc_z, double* work, const int* lwork, int* iwork, const int* liwork, int* info);
// ELPA's C interface, for C++ (its own header needs C11's generic selection).
struct elpa_struct;
int elpa_init(int api_version);
elpa_struct* elpa_allocate(int* error);
void elpa_deallocate(elpa_struct* handle, int* error);
void elpa_set_integer(elpa_struct* handle, const char* name, int value, int* error);
int elpa_setup(elpa_struct* handle);
void elpa_eigenvalues_double(elpa_struct* handle, double* a, double* values, int* error);
}

namespace eckart::bench {

/// The ranks as the squarest grid, column-major, and this rank's part of a block-cyclic n x n matrix.
class TiledMatrix {
public:
    static constexpr int tile = 64;

    TiledMatrix(const mpi::Communicator& comm, int n, const std::function<double(int, int)>& entry)
        : comm_(comm), n_(n) {
        rows_ = static_cast<int>(std::sqrt(static_cast<double>(comm.size())));
        while (comm.size() % rows_ != 0) --rows_;
        context_ = Csys2blacs_handle(comm.handle());
        Cblacs_gridinit(&context_, "Column", rows_, comm.size() / rows_);
        const std::vector<int> rows = owned(row(), rows_), columns = owned(column(), comm.size() / rows_);
        local_rows_ = static_cast<int>(rows.size()), local_columns_ = static_cast<int>(columns.size());
        for (const int j : columns)
            for (const int i : rows) values_.push_back(i >= j ? entry(i, j) : entry(j, i));
    }
    ~TiledMatrix() { Cblacs_gridexit(context_); }
    TiledMatrix(TiledMatrix&&) = delete;

    /// ELPA's two stages.
    std::vector<double> by_elpa() {
        int error = elpa_init(20221109) == 0 ? 0 : -1;
        require(error == 0, "this ELPA is too old");
        elpa_struct* handle = elpa_allocate(&error);
        const std::array<std::pair<const char*, int>, 8> sizes{{{"na", n_},
                                                                {"nev", n_},
                                                                {"local_nrows", local_rows_},
                                                                {"local_ncols", local_columns_},
                                                                {"nblk", tile},
                                                                {"mpi_comm_parent", comm_.fortran_handle()},
                                                                {"process_row", row()},
                                                                {"process_col", column()}}};
        for (const auto& [name, value] : sizes) elpa_set_integer(handle, name, value, &error);
        elpa_setup(handle);
        elpa_set_integer(handle, "solver", 2, &error);
        std::vector<double> found(static_cast<std::size_t>(n_));
        elpa_eigenvalues_double(handle, values_.data(), found.data(), &error);
        require(error == 0, "ELPA failed");
        elpa_deallocate(handle, &error);
        return found;
    }
    /// ScaLAPACK's pdsyevr: one stage, and the one of its drivers that finds values without vectors.
    std::vector<double> by_scalapack() {
        const int one = 1, descriptor[9] = {1, context_, n_, n_, tile, tile, 0, 0, local_rows_};
        const int lwork = 32 * n_ + 8 * tile * (local_rows_ + local_columns_ + tile), liwork = 32 * n_ + 64;
        std::vector<double> found(static_cast<std::size_t>(n_)), work(static_cast<std::size_t>(lwork));
        std::vector<int> integers(static_cast<std::size_t>(liwork));
        double unused = 0;
        int count = 0, vectors = 0, info = 0;
        pdsyevr_("N", "A", "L", &n_, values_.data(), &one, &one, descriptor, &unused, &unused, &one, &n_,
                 &count, &vectors, found.data(), &unused, &one, &one, descriptor, work.data(), &lwork,
                 integers.data(), &liwork, &info);
        require(info == 0, "pdsyevr failed with INFO {}", info);
        return found;
    }

private:
    int row() const { return comm_.rank() % rows_; }
    int column() const { return comm_.rank() / rows_; }
    std::vector<int> owned(int process, int processes) const {
        std::vector<int> indices;
        for (int i = 0; i < n_; ++i)
            if (i / tile % processes == process) indices.push_back(i);
        return indices;
    }

    const mpi::Communicator& comm_;
    int n_, rows_, context_, local_rows_, local_columns_;
    std::vector<double> values_;
};

}  // namespace eckart::bench
