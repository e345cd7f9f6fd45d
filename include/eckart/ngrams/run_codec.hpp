#pragma once

#include "eckart/ngrams/spill_file.hpp"
#include "eckart/ngrams/tally.hpp"

#include <cstring>
#include <utility>
#include <vector>

/// How sorted records lie in a spill file. A segment is a sequence of pieces of partitions, each
///     partition u32 | words u32 | extras u64 | words... | extras...
/// Contexts are spread evenly over all words by their hash, so neighbours differ in nearly all of a word's
/// bits: coding the differences would save little, and the words go to disk and back at the speed of memory.
/// Extras keep what occurs often small.
namespace eckart::ngrams {

struct PieceHead {
    std::uint32_t partition;
    std::uint32_t words;
    std::uint64_t extras;
};

/// Writes one run: partitions ascending, cut into segments of about `segment_bytes`.
template <typename Word>
class RunWriter {
public:
    static constexpr std::size_t segment_bytes = std::size_t{1} << 16;

    RunWriter(SpillFile& file, std::int64_t run, std::vector<Segment>& segments)
        : file_(file), run_(run), segments_(segments) {}

    /// Returns the words it took.
    std::int64_t add(std::int64_t partition, const SortedRecords<Word>& records) {
        std::int64_t written = 0;
        for_each_record(records, [&](const Word& word, std::uint64_t count) {
            words_.push_back(word);
            if (count > 1) [[unlikely]]
                put_more(word, count - 1);
            if (words_.size() * sizeof(Word) >= segment_bytes / 2) written += end_piece(partition);
        });
        return written + end_piece(partition);
    }
    /// Writes what is left. Call it once, last.
    void close() {
        if (bytes_.empty()) return;
        Segment segment = file_.append(bytes_);
        segment.run = run_;
        segment.first_partition = first_;
        segment.last_partition = last_;
        segments_.push_back(segment);
        bytes_.clear();
    }

private:
    /// A few more copies of a word take no more room than an extra does.
    void put_more(const Word& word, std::uint64_t more) {
        if (more <= sizeof(Extra<Word>) / sizeof(Word))
            words_.insert(words_.end(), more, word);
        else
            extras_.push_back({word, more});
    }
    std::int64_t end_piece(std::int64_t partition) {
        if (words_.empty()) return 0;
        const PieceHead head{.partition = static_cast<std::uint32_t>(partition),
                             .words = static_cast<std::uint32_t>(words_.size()),
                             .extras = extras_.size()};
        const auto put = [&](std::span<const std::byte> bytes) {
            bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        };
        if (bytes_.empty()) first_ = partition;
        last_ = partition;
        put(std::as_bytes(std::span(&head, 1)));
        put(std::as_bytes(std::span(words_)));
        put(std::as_bytes(std::span(extras_)));
        words_.clear();
        extras_.clear();
        if (bytes_.size() >= segment_bytes) close();
        return head.words;
    }

    SpillFile& file_;
    std::int64_t run_;
    std::vector<Segment>& segments_;
    std::vector<std::byte> bytes_;
    std::int64_t first_ = 0, last_ = 0;
    std::vector<Word> words_;  // of the piece
    std::vector<Extra<Word>> extras_;
};

/// Reads the segments of one run and one bucket, a segment at a time.
template <typename Word>
class RunReader {
public:
    RunReader(const SpillFile& file, std::vector<Segment> segments)
        : file_(file), segments_(std::move(segments)) {
        next_piece();
    }

    /// The partition of the next records, or -1 at the end.
    std::int64_t partition() const { return partition_; }
    /// Adds the records of `partition()` to the tally and goes on to the next partition.
    void take(Tally<Word>& tally) {
        const std::int64_t wanted = partition_;
        while (partition_ == wanted) {
            const std::span<const std::byte> rest = std::span(bytes_).subspan(at_);
            const std::size_t words = head_.words * sizeof(Word), extras = head_.extras * sizeof(Extra<Word>);
            tally.add(rest.first(words), rest.subspan(words, extras));
            at_ += words + extras;
            next_piece();
        }
    }

private:
    void next_piece() {
        partition_ = -1;
        if (at_ == bytes_.size()) {
            if (number_ == segments_.size()) return;
            bytes_ = file_.read(segments_[number_++], std::move(bytes_));
            at_ = 0;
        }
        std::memcpy(&head_, bytes_.data() + at_, sizeof head_);
        at_ += sizeof head_;
        partition_ = head_.partition;
    }

    const SpillFile& file_;
    std::vector<Segment> segments_;
    std::size_t number_ = 0;
    std::vector<std::byte> bytes_;
    std::size_t at_ = 0;
    PieceHead head_{};
    std::int64_t partition_ = -1;
};

}  // namespace eckart::ngrams
