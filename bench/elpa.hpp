#pragma once

// ELPA's two-stage eigensolver, for comparison; Eckart itself does not use it (bench/README.md says why).

#include "eckart/base/error.hpp"
#include "eckart/dense/tiled_matrix.hpp"

#include <array>
#include <utility>
#include <vector>

// ELPA's C interface, for C++ (its own header needs C11's generic selection).
extern "C" {
struct elpa_struct;
int elpa_init(int api_version);
elpa_struct* elpa_allocate(int* error);
void elpa_deallocate(elpa_struct* handle, int* error);
void elpa_set_integer(elpa_struct* handle, const char* name, int value, int* error);
int elpa_setup(elpa_struct* handle);
void elpa_eigenvalues_double(elpa_struct* handle, double* a, double* values, int* error);
}

namespace eckart::bench {

inline std::vector<double> eigenvalues_by_elpa(dense::TiledMatrix& matrix) {
    int error = elpa_init(20221109) == 0 ? 0 : -1;
    require(error == 0, "this ELPA is too old");
    elpa_struct* handle = elpa_allocate(&error);
    const std::array<std::pair<const char*, int>, 8> sizes{
        {{"na", matrix.size()},
         {"nev", matrix.size()},
         {"local_nrows", matrix.local_rows()},
         {"local_ncols", matrix.local_columns()},
         {"nblk", matrix.tile()},
         {"mpi_comm_parent", matrix.comm().fortran_handle()},
         {"process_row", matrix.row()},
         {"process_col", matrix.column()}}};
    for (const auto& [name, value] : sizes) elpa_set_integer(handle, name, value, &error);
    elpa_setup(handle);
    elpa_set_integer(handle, "solver", 2, &error);
    std::vector<double> values(static_cast<std::size_t>(matrix.size()));
    elpa_eigenvalues_double(handle, matrix.values().data(), values.data(), &error);
    require(error == 0, "ELPA failed");
    elpa_deallocate(handle, &error);
    return values;
}

}  // namespace eckart::bench
