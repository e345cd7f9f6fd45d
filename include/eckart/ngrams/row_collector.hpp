#pragma once

#include "eckart/ngrams/row_buckets.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// The rows of W as they come, context by context: one-hot rows are counted by column, the others are divided
/// by their gcd and put to their bucket.
class RowCollector {
public:
    RowCollector(std::int64_t vocabulary, RowBuckets& buckets)
        : multiplicity_(static_cast<std::size_t>(vocabulary)),
          weight_(static_cast<std::size_t>(vocabulary)),
          occurs_(static_cast<std::size_t>(vocabulary)),
          buckets_(buckets) {}

    void one_hot(std::uint32_t successor, std::uint64_t count) {
        ++multiplicity_[successor];
        weight_[successor] += static_cast<std::int64_t>(count);
    }
    void row(std::span<const std::uint32_t> successors, std::span<const std::uint64_t> counts);

    /// Contexts whose only successor is the token, and their n-grams, by token.
    std::vector<std::int64_t>& one_hot_multiplicity() { return multiplicity_; }
    std::vector<std::int64_t>& one_hot_weight() { return weight_; }
    /// 1 for each token that follows in one of the other rows.
    std::vector<std::uint8_t>& occurs() { return occurs_; }
    /// Contexts, successors and n-grams of the other rows.
    std::int64_t rows() const { return rows_; }
    std::int64_t nonzeros() const { return nonzeros_; }
    std::int64_t ngrams() const { return ngrams_; }

private:
    std::vector<std::int64_t> multiplicity_, weight_;
    std::vector<std::uint8_t> occurs_;
    RowBuckets& buckets_;
    std::vector<std::uint64_t> reduced_;
    std::int64_t rows_ = 0, nonzeros_ = 0, ngrams_ = 0;
};

}  // namespace eckart::ngrams
