#pragma once

#include "eckart/base/error.hpp"

#include <algorithm>
#include <cstdint>

// The BLAS and LAPACK routines of one rank, in both precisions under one name, with 64-bit sizes.
extern "C" {
void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
            const double* beta, double* c, const int* ldc);
void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
            const float* beta, float* c, const int* ldc);
void dgeqrt3_(const int* m, const int* n, double* a, const int* lda, double* t, const int* ldt, int* info);
void sgeqrt3_(const int* m, const int* n, float* a, const int* lda, float* t, const int* ldt, int* info);
void dlarft_(const char* direct, const char* storev, const int* n, const int* k, const double* v,
             const int* ldv, const double* tau, double* t, const int* ldt);
void dstemr_(const char* jobz, const char* range, const int* n, double* d, double* e, const double* vl,
             const double* vu, const int* il, const int* iu, int* m, double* w, double* z, const int* ldz,
             const int* nzc, int* isuppz, int* tryrac, double* work, const int* lwork, int* iwork,
             const int* liwork, int* info);
void dsterf_(const int* n, double* d, double* e, int* info);
}

namespace eckart::dense {

enum class Op : char { plain = 'N', transposed = 'T' };

/// A column-major matrix in memory that somebody else owns.
template <typename T>
struct View {
    T* data;
    std::int64_t rows;
    std::int64_t columns;
    std::int64_t leading;

    View part(std::int64_t row, std::int64_t column, std::int64_t part_rows,
              std::int64_t part_columns) const {
        return {data + column * leading + row, part_rows, part_columns, leading};
    }
    operator View<const T>() const { return {data, rows, columns, leading}; }
};

inline void gemm(char ta, char tb, int m, int n, int k, double alpha, const double* a, int lda,
                 const double* b, int ldb, double beta, double* c, int ldc) {
    dgemm_(&ta, &tb, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
}
inline void gemm(char ta, char tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                 int ldb, float beta, float* c, int ldc) {
    sgemm_(&ta, &tb, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
}

/// c = alpha op(a) op(b) + beta c.
template <typename T>
void multiply(T alpha, Op op_a, std::type_identity_t<View<const T>> a, Op op_b,
              std::type_identity_t<View<const T>> b, T beta, View<T> c) {
    const std::int64_t inner = op_a == Op::plain ? a.columns : a.rows;
    if (c.rows == 0 || c.columns == 0) return;
    gemm(static_cast<char>(op_a), static_cast<char>(op_b), narrow<int>(c.rows), narrow<int>(c.columns),
         narrow<int>(inner), alpha, a.data, narrow<int>(a.leading), b.data, narrow<int>(b.leading), beta,
         c.data, narrow<int>(c.leading));
}

/// QR of a tall panel by recursive Householder (Elmroth and Gustavson 2000): R on and above the diagonal of
/// `a`, the vectors V below it, and in `t` the triangle for which Q = I - V T V'.
inline void qr(View<double> a, View<double> t) {
    const int m = narrow<int>(a.rows), n = narrow<int>(a.columns), lda = narrow<int>(a.leading),
              ldt = narrow<int>(t.leading);
    int info = 0;
    dgeqrt3_(&m, &n, a.data, &lda, t.data, &ldt, &info);
    require(info == 0, "dgeqrt3 failed with INFO {}", info);
}
inline void qr(View<float> a, View<float> t) {
    const int m = narrow<int>(a.rows), n = narrow<int>(a.columns), lda = narrow<int>(a.leading),
              ldt = narrow<int>(t.leading);
    int info = 0;
    sgeqrt3_(&m, &n, a.data, &lda, t.data, &ldt, &info);
    require(info == 0, "sgeqrt3 failed with INFO {}", info);
}

/// The upper triangle T for which the product of the reflectors of V's columns is I - V T V'; zeros below it.
inline void triangle(View<const double> v, View<double> t, const double* taus) {
    const int n = narrow<int>(v.rows), k = narrow<int>(v.columns), ldv = narrow<int>(v.leading),
              ldt = narrow<int>(t.leading);
    for (std::int64_t j = 0; j < t.columns; ++j) std::fill_n(t.data + j * t.leading, t.rows, 0.0);
    dlarft_("F", "C", &n, &k, v.data, &ldv, taus, t.data, &ldt);
}

}  // namespace eckart::dense
