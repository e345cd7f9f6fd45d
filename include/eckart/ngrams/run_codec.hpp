#pragma once

#include "eckart/base/error.hpp"
#include "eckart/ngrams/spill_file.hpp"
#include "eckart/ngrams/tally.hpp"

#include <bit>
#include <cstring>
#include <vector>

/// How sorted records lie in a spill file. A segment is a sequence of partitions, each
///     partition u32 | records u32 | records...
/// and a record is one byte (low bits: the length of the difference in bytes; high bit: a count follows), the
/// difference from the record before, little-endian, and the count as 8 bytes when it is not 1.
namespace eckart::ngrams {

inline constexpr std::size_t segment_padding = sizeof(Word192);

inline int byte_width(std::uint64_t x) {
    return static_cast<int>(std::bit_width(x) + 7) / 8;
}
inline int byte_width(Wide x) {
    const auto high = static_cast<std::uint64_t>(x >> 64);
    return high != 0 ? 8 + byte_width(high) : byte_width(static_cast<std::uint64_t>(x));
}
inline int byte_width(const Word192& x) {
    for (const int limb : {2, 1})
        if (x.limb(limb) != 0) return 8 * limb + byte_width(x.limb(limb));
    return byte_width(x.limb(0));
}

/// Writes one run: partitions ascending, cut into segments of about `segment_bytes`.
template <typename Word>
class RunWriter {
public:
    static constexpr std::size_t segment_bytes = std::size_t{1} << 17;

    RunWriter(SpillFile& file, std::int64_t run, std::vector<Segment>& segments)
        : file_(file), run_(run), segments_(segments) {}

    void add(std::int64_t partition, const SortedRecords<Word>& records) {
        if (records.words.empty()) return;
        begin(partition);
        for_each_record(records, [&](const Word& word, std::uint64_t count) {
            if (bytes_.size() >= segment_bytes) {
                close();
                begin(partition);
            }
            put(word, count);
        });
        end_partition();
    }
    /// Writes what is left. Call it once, last.
    void close() {
        if (bytes_.empty()) return;
        end_partition();
        bytes_.resize(bytes_.size() + segment_padding);
        Segment segment = file_.append(bytes_);
        segment.run = run_;
        segment.first_partition = first_;
        segment.last_partition = last_;
        segments_.push_back(segment);
        bytes_.clear();
    }

private:
    void begin(std::int64_t partition) {
        if (bytes_.empty()) first_ = partition;
        last_ = partition;
        head_ = bytes_.size();
        bytes_.resize(head_ + 2 * sizeof(std::uint32_t));
        records_ = 0;
        previous_ = Word{0};
    }
    void end_partition() {
        const std::uint32_t head[] = {static_cast<std::uint32_t>(last_), records_};
        std::memcpy(bytes_.data() + head_, head, sizeof head);
    }
    void put(const Word& word, std::uint64_t count) {
        const Word difference = word - previous_;
        const int width = byte_width(difference);
        std::byte piece[1 + sizeof(Word) + sizeof(std::uint64_t)];
        piece[0] = static_cast<std::byte>(width | (count > 1 ? 0x80 : 0));
        std::memcpy(piece + 1, &difference, sizeof(Word));
        std::size_t size = 1 + static_cast<std::size_t>(width);
        if (count > 1) {
            std::memcpy(piece + size, &count, sizeof count);
            size += sizeof count;
        }
        const std::size_t at = bytes_.size();
        bytes_.resize(at + size);
        std::memcpy(bytes_.data() + at, piece, size);
        previous_ = word;
        ++records_;
    }

    SpillFile& file_;
    std::int64_t run_;
    std::vector<Segment>& segments_;
    std::vector<std::byte> bytes_;
    std::int64_t first_ = 0, last_ = 0;
    std::size_t head_ = 0;
    std::uint32_t records_ = 0;
    Word previous_{};
};

/// Reads the segments of one run and one bucket, a segment at a time.
template <typename Word>
class RunReader {
public:
    RunReader(const SpillFile& file, std::vector<Segment> segments)
        : file_(file), segments_(std::move(segments)) {
        next_segment();
    }

    /// The partition of the next records, or -1 at the end.
    std::int64_t partition() const { return partition_; }
    /// Adds the records of `partition()` to the tally and goes on to the next partition.
    void take(Tally<Word>& tally) {
        const std::int64_t wanted = partition_;
        while (partition_ == wanted) {
            Word word{0};
            for (std::uint32_t i = 0; i < records_; ++i) {
                const auto head = static_cast<unsigned>(bytes_[at_]);
                const int width = static_cast<int>(head & 0x7f);
                Word difference;
                std::memcpy(&difference, bytes_.data() + at_ + 1, sizeof(Word));
                if (width < static_cast<int>(sizeof(Word)))
                    difference = width == 0 ? Word{0} : difference & low_bits<Word>(8 * width);
                word = word + difference;
                at_ += 1 + static_cast<std::size_t>(width);
                std::uint64_t count = 1;
                if (head & 0x80) {
                    std::memcpy(&count, bytes_.data() + at_, sizeof count);
                    at_ += sizeof count;
                }
                tally.add(word, count);
            }
            next_partition();
        }
    }

private:
    void next_segment() {
        partition_ = -1;
        if (number_ == segments_.size()) return;
        bytes_ = file_.read(segments_[number_++]);
        at_ = 0;
        next_partition();
    }
    void next_partition() {
        if (at_ + segment_padding >= bytes_.size()) return next_segment();
        std::uint32_t head[2];
        std::memcpy(head, bytes_.data() + at_, sizeof head);
        at_ += sizeof head;
        partition_ = head[0];
        records_ = head[1];
    }

    const SpillFile& file_;
    std::vector<Segment> segments_;
    std::size_t number_ = 0;
    std::vector<std::byte> bytes_;
    std::size_t at_ = 0;
    std::int64_t partition_ = -1;
    std::uint32_t records_ = 0;
};

}  // namespace eckart::ngrams
