#pragma once

#include "eckart/ngrams/row_code.hpp"
#include "eckart/ngrams/spill_file.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// Rows grouped by a hash of their content, so that equal rows meet. Beyond the budget they are merged and
/// written to a scratch file.
class RowBuckets {
public:
    RowBuckets(int bits, std::int64_t budget_bytes, std::filesystem::path spill_path);

    std::int64_t count() const { return static_cast<std::int64_t>(buckets_.size()); }
    /// Adds the row of one context. Requires two or more successors, ascending, and counts without a common
    /// divisor.
    void add(std::uint64_t weight, std::span<const std::uint32_t> successors,
             std::span<const std::uint64_t> counts);
    /// Takes the rows of one bucket out.
    std::vector<std::uint32_t> take(std::int64_t bucket);
    std::int64_t spilled_bytes() const { return spill_.size(); }

private:
    void spill();
    int bits_;
    std::int64_t budget_words_;
    std::int64_t words_ = 0;
    std::vector<std::vector<std::uint32_t>> buckets_;
    std::vector<std::vector<Segment>> segments_;
    SpillFile spill_;
    std::vector<std::uint32_t> row_;
};

}  // namespace eckart::ngrams
