#include "eckart/ngrams/page_pool.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"

#include <sys/mman.h>

namespace eckart::ngrams {

PoolMemory::PoolMemory(std::int64_t bytes) : bytes_(bytes), memory_(map(bytes), Unmap{bytes}) {}

std::byte* PoolMemory::map(std::int64_t bytes) {
    void* memory = ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(memory != MAP_FAILED, "cannot reserve {} of memory", format_bytes(static_cast<double>(bytes)));
    ::madvise(memory, static_cast<std::size_t>(bytes), MADV_HUGEPAGE);
    return static_cast<std::byte*>(memory);
}

void PoolMemory::release() {
    ::madvise(memory_.get(), static_cast<std::size_t>(bytes_), MADV_DONTNEED);
}

void PoolMemory::Unmap::operator()(std::byte* memory) const {
    ::munmap(memory, static_cast<std::size_t>(bytes));
}

}  // namespace eckart::ngrams
