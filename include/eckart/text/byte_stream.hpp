#pragma once

#include "eckart/base/error.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace eckart::text {

/// The corpus itself is at fault: a damaged file, a malformed line, text that is not UTF-8. `--on-error skip`
/// leaves such input out and counts it; other errors end the job in any case.
class BadInput : public Error {
public:
    using Error::Error;
};

/// The bytes of a file, decompressed when its name ends in .gz or .zst.
class ByteStream {
public:
    virtual ~ByteStream() = default;
    /// Fills the front of `buffer` (not empty); the number of bytes, 0 at the end. Throws `Error` naming the
    /// file and the offset, `BadInput` when it cannot be decompressed or ends too early.
    virtual std::int64_t read(std::span<char> buffer) = 0;
    /// Bytes of the file as it lies on disk that have been taken.
    virtual std::int64_t position() const = 0;
};

bool is_compressed(const std::string& path);

/// Memory that decompressing a file takes: for .zst, the window that its first frame asks for.
std::int64_t decompression_bytes(const std::string& path);

/// Opens a file at `begin`, which is 0 for compressed ones. All members of a .gz and all frames of a .zst are
/// read; windows of .zst frames may be as long as the format allows (2 GiB).
std::unique_ptr<ByteStream> open_bytes(const std::string& path, std::int64_t begin = 0);

}  // namespace eckart::text
