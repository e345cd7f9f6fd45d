#include "eckart/ngrams/spill_file.hpp"

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace eckart::ngrams {

namespace {
constexpr std::size_t buffer_bytes = std::size_t{4} << 20;
}

SpillFile::~SpillFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

SpillFile::SpillFile(SpillFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      written_(other.written_),
      buffer_(std::move(other.buffer_)) {}

void SpillFile::open(bool fresh) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (fresh ? O_TRUNC : 0), 0666);
    if (descriptor_ < 0) throw Error("cannot open {}{}", path_.string(), io::cause_of(errno, path_));
}

void SpillFile::resume(std::int64_t bytes) {
    if (bytes == 0) return;
    open(false);
    const std::int64_t there = ::lseek(descriptor_, 0, SEEK_END);
    require(there >= bytes, "{} has {} bytes where the checkpoint says {}", path_.string(), there, bytes);
    if (::ftruncate(descriptor_, bytes) != 0 || ::lseek(descriptor_, bytes, SEEK_SET) != bytes)
        throw Error("cannot continue {} at {} bytes{}", path_.string(), bytes, io::cause_of(errno, path_));
    written_ = bytes;
}

Segment SpillFile::append(std::span<const std::byte> bytes) {
    const Segment segment{
        .offset = size(), .bytes = static_cast<std::int64_t>(bytes.size()), .digest = digest_of(bytes).low};
    if (buffer_.size() + bytes.size() > buffer_bytes) flush();
    if (bytes.size() > buffer_bytes)
        write(bytes);
    else
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return segment;
}

void SpillFile::flush() {
    write(buffer_);
    buffer_.clear();
}

void SpillFile::write(std::span<const std::byte> rest) {
    if (descriptor_ < 0) open(true);
    while (!rest.empty()) {
        const ssize_t wrote = ::write(descriptor_, rest.data(), rest.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0)
            throw Error("cannot write {} bytes to the scratch file {} at {}{}", rest.size(), path_.string(),
                        written_, io::cause_of(errno, path_));
        written_ += wrote;
        rest = rest.subspan(static_cast<std::size_t>(wrote));
    }
}

void SpillFile::sync() {
    if (size() == 0) return;
    flush();
    if (::fsync(descriptor_) != 0)
        throw Error("cannot sync the scratch file {}{}", path_.string(), io::cause_of(errno, path_));
}

std::vector<std::byte> SpillFile::read(const Segment& segment, std::vector<std::byte> bytes) const {
    bytes.resize(static_cast<std::size_t>(segment.bytes));
    std::span<std::byte> rest(bytes);
    while (!rest.empty()) {
        const std::int64_t at = segment.offset + segment.bytes - static_cast<std::int64_t>(rest.size());
        const ssize_t got = ::pread(descriptor_, rest.data(), rest.size(), at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            throw Error("cannot read {} bytes of the scratch file {} at {}{}", rest.size(), path_.string(),
                        at, io::cause_of(errno, path_));
        require(got > 0, "the scratch file {} ends at {}, {} bytes short", path_.string(), at, rest.size());
        rest = rest.subspan(static_cast<std::size_t>(got));
    }
    require(digest_of(std::span<const std::byte>(bytes)).low == segment.digest,
            "the scratch file {} is damaged: bytes {} to {} are not those that were written", path_.string(),
            segment.offset, segment.offset + segment.bytes);
    return bytes;
}

void SpillFile::close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void SpillFile::remove() {
    if (descriptor_ < 0) return;
    close();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    written_ = 0;
}

}  // namespace eckart::ngrams
