#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace eckart::ngrams {

/// A stretch of a spill file: sorted records of consecutive partitions, written in one go and read whole.
struct Segment {
    std::int64_t run = 0;  ///< segments of one run cover a partition once
    std::int64_t first_partition = 0;
    std::int64_t last_partition = 0;  ///< inclusive
    std::int64_t offset = 0;
    std::int64_t bytes = 0;
    std::uint64_t digest = 0;
};

/// A rank's own scratch file: segments are appended, later read back and proved by their digest. Every error
/// names the path, the bytes wanted and, on a full disk, what is free.
class SpillFile {
public:
    /// The file is made at the first write.
    explicit SpillFile(std::filesystem::path path) : path_(std::move(path)) {}
    ~SpillFile();
    SpillFile(SpillFile&& other) noexcept;
    SpillFile& operator=(SpillFile&&) = delete;

    /// Continues a file of at least `bytes` bytes, cutting off what came later.
    void resume(std::int64_t bytes);
    /// Appends; the returned segment has offset, bytes and digest filled in.
    Segment append(std::span<const std::byte> bytes);
    /// Writes out what is buffered.
    void flush();
    /// Flushes, then makes it durable.
    void sync();
    /// The bytes of a segment, in the memory of `bytes`. Requires it to be flushed. Throws `Error` when they
    /// are not those written.
    std::vector<std::byte> read(const Segment& segment, std::vector<std::byte> bytes = {}) const;
    /// Closes the file, which stays.
    void close();
    /// Closes and deletes it.
    void remove();

    const std::filesystem::path& path() const { return path_; }
    std::int64_t size() const { return written_ + static_cast<std::int64_t>(buffer_.size()); }

private:
    void open(bool fresh);
    void write(std::span<const std::byte> bytes);
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::int64_t written_ = 0;
    std::vector<std::byte> buffer_;
};

}  // namespace eckart::ngrams
