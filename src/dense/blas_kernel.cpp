#include "eckart/dense/blas_kernel.hpp"

#include <cstdlib>

#include <unistd.h>

extern "C" {
char* openblas_get_corename(void);
int openblas_get_num_threads(void);
void openblas_set_num_threads(int);
}

namespace eckart::dense {

namespace {

/// The best kernels that this processor can run, or nothing for old ones.
const char* best_core() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return nullptr;
}

}  // namespace

std::string blas_kernel() {
    return openblas_get_corename();
}

bool blas_kernel_is_fallback() {
    const std::string core = blas_kernel();
    return best_core() != nullptr && (core == "Prescott" || core == "Core2" || core == "Nehalem" ||
                                      core == "Generic" || core == "generic");
}

void ensure_blas_kernel(char** argv) {
    if (!blas_kernel_is_fallback() || std::getenv("OPENBLAS_CORETYPE") != nullptr) return;
    setenv("OPENBLAS_CORETYPE", best_core(), 1);
    execv("/proc/self/exe", argv);  // returns only when it fails: then the fallback is reported by the job
}

BlasThreads::BlasThreads(int threads) : before_(openblas_get_num_threads()) {
    openblas_set_num_threads(threads);
}
BlasThreads::~BlasThreads() {
    openblas_set_num_threads(before_);
}

}  // namespace eckart::dense
