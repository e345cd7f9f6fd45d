#include "eckart/ngrams/row_buckets.hpp"

#include "eckart/ngrams/row_merger.hpp"

#include <cstring>
#include <utility>

namespace eckart::ngrams {

RowBuckets::RowBuckets(int bits, std::int64_t budget_bytes, std::filesystem::path spill_path)
    : bits_(bits),
      budget_words_(budget_bytes /
                    static_cast<std::int64_t>(2 * sizeof(std::uint32_t))),  // vectors grow twofold
      buckets_(std::size_t{1} << bits),
      segments_(buckets_.size()),
      spill_(std::move(spill_path)) {}

void RowBuckets::add(std::uint64_t weight, std::span<const std::uint32_t> successors,
                     std::span<const std::uint64_t> counts) {
    row_.clear();
    append_row(row_, 1, weight, successors, counts);
    const std::uint64_t hash = RowReader(row_).next().hash();
    auto& bucket = buckets_[hash >> (64 - bits_)];
    bucket.insert(bucket.end(), row_.begin(), row_.end());
    words_ += static_cast<std::int64_t>(row_.size());
    if (words_ > budget_words_) spill();
}

void RowBuckets::spill() {
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        const auto rows = merged(std::exchange(buckets_[bucket], {}));
        if (rows.empty()) continue;
        segments_[bucket].push_back(spill_.append(std::as_bytes(std::span(rows))));
    }
    words_ = 0;
}

std::vector<std::uint32_t> RowBuckets::take(std::int64_t bucket) {
    const auto number = static_cast<std::size_t>(bucket);
    std::vector<std::uint32_t> rows = std::exchange(buckets_[number], {});
    words_ -= static_cast<std::int64_t>(rows.size());
    if (!segments_[number].empty()) spill_.flush();
    for (const Segment& segment : std::exchange(segments_[number], {})) {
        const std::vector<std::byte> bytes = spill_.read(segment);
        const std::size_t at = rows.size();
        rows.resize(at + bytes.size() / sizeof(std::uint32_t));
        std::memcpy(rows.data() + at, bytes.data(), bytes.size());
    }
    return rows;
}

}  // namespace eckart::ngrams
