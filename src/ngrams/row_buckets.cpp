#include "eckart/ngrams/row_buckets.hpp"

#include <cstring>
#include <utility>

namespace eckart::ngrams {

RowBuckets::RowBuckets(int bits, std::int64_t budget_bytes, std::filesystem::path spill_path)
    : bits_(bits),
      words_(std::size_t{1} << bits, budget_bytes),
      segments_(std::size_t{1} << bits),
      spill_(std::move(spill_path)) {}

void RowBuckets::add(std::uint64_t weight, std::span<const std::uint32_t> successors,
                     std::span<const std::uint64_t> counts) {
    row_.clear();
    append_row(row_, 1, weight, successors, counts);
    const auto bucket = static_cast<std::size_t>(row_hash(successors, counts) >> (64 - bits_));
    if (!words_.fits(row_.size())) spill();
    if (words_.fits(row_.size()))
        words_.append(bucket, row_);
    else
        segments_[bucket].push_back(spill_.append(std::as_bytes(std::span(row_))));
}

void RowBuckets::spill() {
    std::vector<std::uint32_t> rows, merged;
    for (std::size_t bucket = 0; bucket < segments_.size(); ++bucket) {
        rows.clear();
        merged.clear();
        words_.take(bucket, rows);
        if (rows.empty()) continue;
        merger_.merge(rows, [&](const RowView& row) { append_row(merged, row); });
        segments_[bucket].push_back(spill_.append(std::as_bytes(std::span(merged))));
    }
}

void RowBuckets::take(std::int64_t bucket, std::vector<std::uint32_t>& rows) {
    const auto number = static_cast<std::size_t>(bucket);
    std::exchange(row_, {});  // the longest may have been very long
    words_.take(number, rows);
    if (!segments_[number].empty()) spill_.flush();
    for (const Segment& segment : std::exchange(segments_[number], {})) {
        const std::vector<std::byte> bytes = spill_.read(segment);
        const std::size_t at = rows.size();
        rows.resize(at + bytes.size() / sizeof(std::uint32_t));
        std::memcpy(rows.data() + at, bytes.data(), bytes.size());
    }
}

}  // namespace eckart::ngrams
