#pragma once

#include "eckart/ngrams/paged_words.hpp"
#include "eckart/ngrams/row_code.hpp"
#include "eckart/ngrams/row_merger.hpp"
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

    std::int64_t count() const { return static_cast<std::int64_t>(segments_.size()); }
    /// Adds the row of one context. Requires two or more successors, ascending, and counts without a common
    /// divisor.
    void add(std::uint64_t weight, std::span<const std::uint32_t> successors,
             std::span<const std::uint64_t> counts);
    /// Moves the rows of one bucket to the end of `rows`.
    void take(std::int64_t bucket, std::vector<std::uint32_t>& rows);
    std::int64_t spilled_bytes() const { return spill_.size(); }

private:
    void spill();
    int bits_;
    PagedWords words_;
    std::vector<std::vector<Segment>> segments_;
    SpillFile spill_;
    RowMerger merger_;
    std::vector<std::uint32_t> row_;
};

}  // namespace eckart::ngrams
