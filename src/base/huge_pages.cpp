// Large arrays on huge pages: the global operator new of every program of this project. A process pays for
// each page when it first touches it, and for looking up its place ever after: pages of 4 KiB can make memory
// of gigabytes ten times as dear to fill. Linux gives pages of 2 MiB to those who ask (transparent_hugepage:
// madvise, the usual setting).

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

#if !defined(__SANITIZE_ADDRESS__)

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20, large = 2 * huge_page;

void* allocate(std::size_t size, std::size_t alignment) {
    void* memory = nullptr;
    if (::posix_memalign(&memory, size >= large ? std::max(alignment, huge_page) : alignment, size) != 0)
        throw std::bad_alloc();
    if (size >= large) ::madvise(memory, size, MADV_HUGEPAGE);  // where there are none, the usual ones do
    return memory;
}

}  // namespace

void* operator new(std::size_t size) {
    if (size >= large) return allocate(size, huge_page);
    void* const memory = std::malloc(std::max<std::size_t>(size, 1));
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

#endif
