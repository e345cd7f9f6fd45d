// Large arrays on huge pages: the global operator new of every program of this project. A process pays for
// each page when it first touches it, and for looking up its place ever after: 4 KiB pages make a matrix of
// gigabytes ten times as dear to fill. Linux gives pages of 2 MiB to those who ask (transparent_hugepage:
// madvise, the usual setting).

#include <cstddef>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

#if !defined(__SANITIZE_ADDRESS__)

namespace {
constexpr std::size_t huge_page = std::size_t{2} << 20, large = 2 * huge_page;
}

void* operator new(std::size_t size) {
    void* memory = nullptr;
    if (size >= large) {
        if (::posix_memalign(&memory, huge_page, size) != 0) throw std::bad_alloc();
        ::madvise(memory, size, MADV_HUGEPAGE);  // where there are none, the usual ones do
        return memory;
    }
    memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

#endif
