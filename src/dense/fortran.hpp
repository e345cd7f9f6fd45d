#pragma once

#include <mpi.h>

// The Fortran and BLACS routines that Eckart calls, as their libraries declare them.
extern "C" {

int Csys2blacs_handle(MPI_Comm comm);
void Cblacs_gridinit(int* context, const char* order, int rows, int columns);
void Cblacs_gridexit(int context);
void Cpdgemr2d(int m, int n, const double* a, int ia, int ja, const int* desc_a, double* b, int ib, int jb,
               const int* desc_b, int context);

void pdtran_(const int* m, const int* n, const double* alpha, const double* a, const int* ia, const int* ja,
             const int* desc_a, const double* beta, double* c, const int* ic, const int* jc,
             const int* desc_c);
void pdsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* ia, const int* ja,
              const int* desc_a, double* w, double* z, const int* iz, const int* jz, const int* desc_z,
              double* work, const int* lwork, int* iwork, const int* liwork, int* info);

void dsyevd_2stage_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
                    double* work, const int* lwork, int* iwork, const int* liwork, int* info);
}

// ELPA's C interface, for C++ (its own header needs C11's generic selection).
extern "C" {
struct elpa_struct;
int elpa_init(int api_version);
elpa_struct* elpa_allocate(int* error);
void elpa_deallocate(elpa_struct* handle, int* error);
void elpa_uninit(int* error);
void elpa_set_integer(elpa_struct* handle, const char* name, int value, int* error);
int elpa_setup(elpa_struct* handle);
void elpa_eigenvalues_double(elpa_struct* handle, double* a, double* values, int* error);
const char* elpa_strerr(int error);
}
