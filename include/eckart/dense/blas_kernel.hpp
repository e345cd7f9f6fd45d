#pragma once

#include <string>

namespace eckart::dense {

/// OpenBLAS chooses its kernels by a list of processors that it knows, and falls back to those of 2004 on a
/// newer one, five times slower and in silence. Call first in `main`: when it has fallen back on a machine
/// with AVX2 or AVX-512, the program starts itself once more with OPENBLAS_CORETYPE set.
void ensure_blas_kernel(char** argv);
/// The kernels in use, e.g. "SkylakeX", for provenance and logs.
std::string blas_kernel();
/// A fallback that could not be mended: worth a warning.
bool blas_kernel_is_fallback();
/// BLAS calls of this process use so many threads while it lives.
class BlasThreads {
public:
    explicit BlasThreads(int threads);
    ~BlasThreads();
    BlasThreads(BlasThreads&&) = delete;

private:
    int before_;
};

}  // namespace eckart::dense
