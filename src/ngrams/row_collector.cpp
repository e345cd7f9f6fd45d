#include "eckart/ngrams/row_collector.hpp"

#include <numeric>

namespace eckart::ngrams {

void RowCollector::row(std::span<const std::uint32_t> successors, std::span<const std::uint64_t> counts) {
    std::uint64_t total = 0, divisor = 0;
    for (const std::uint64_t count : counts) {
        total += count;
        if (divisor != 1) divisor = std::gcd(divisor, count);
    }
    for (const std::uint32_t successor : successors) occurs_[successor] = 1;
    ++rows_;
    nonzeros_ += static_cast<std::int64_t>(successors.size());
    ngrams_ += static_cast<std::int64_t>(total);
    if (divisor == 1) return buckets_.add(total, successors, counts);
    reduced_.assign(counts.begin(), counts.end());
    for (std::uint64_t& count : reduced_) count /= divisor;
    buckets_.add(total, successors, reduced_);
}

}  // namespace eckart::ngrams
