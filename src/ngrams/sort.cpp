#include "eckart/ngrams/sort.hpp"

#include <algorithm>

#include <hwy/contrib/sort/vqsort.h>

namespace eckart::ngrams {

namespace {
/// Below this many words a call to vqsort costs more than the sorting.
constexpr std::size_t small = 40;
}  // namespace

struct WordSorter::Vectorised {
    hwy::Sorter sort;
};

WordSorter::WordSorter() : vectorised_(std::make_unique<Vectorised>()) {}
WordSorter::~WordSorter() = default;
WordSorter::WordSorter(WordSorter&&) noexcept = default;

void WordSorter::operator()(std::span<std::uint64_t> words) const {
    if (words.size() < small)
        std::sort(words.begin(), words.end());
    else
        vectorised_->sort(words.data(), words.size(), hwy::SortAscending());
}

void WordSorter::operator()(std::span<Wide> words) const {
    static_assert(sizeof(hwy::uint128_t) == sizeof(Wide));
    if (words.size() < small)
        std::sort(words.begin(), words.end());
    else
        vectorised_->sort(reinterpret_cast<hwy::uint128_t*>(words.data()), words.size(),
                          hwy::SortAscending());
}

}  // namespace eckart::ngrams
