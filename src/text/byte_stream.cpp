#include "eckart/text/byte_stream.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY  // for the size of a frame's window
#include <zstd.h>

namespace eckart::text {

namespace {

class PlainStream : public ByteStream {
public:
    PlainStream(std::string path, std::int64_t begin)
        : path_(std::move(path)), position_(begin), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
        require(file_ >= 0, "cannot open {}{}", path_, io::cause_of(errno, path_));
    }
    ~PlainStream() override { ::close(file_); }
    PlainStream(PlainStream&&) = delete;

    std::int64_t read(std::span<char> buffer) override {
        constexpr std::size_t longest = std::size_t{1} << 30;
        const auto got = ::pread(file_, buffer.data(), std::min(buffer.size(), longest), position_);
        require(got >= 0, "cannot read {} at offset {}{}", path_, position_, io::cause_of(errno, path_));
        position_ += got;
        return got;
    }
    std::int64_t position() const override { return position_; }

private:
    std::string path_;
    std::int64_t position_;
    int file_;
};

/// What decompressors share: the compressed bytes at hand, and the way they complain.
class CompressedStream : public ByteStream {
public:
    explicit CompressedStream(const std::string& path)
        : path_(path), file_(path, 0), buffer_(std::size_t{1} << 18) {}
    std::int64_t position() const override { return file_.position() - left(); }

protected:
    /// Makes at least one compressed byte available; false at the end of the file.
    bool refill() {
        if (left() > 0) return true;
        used_ = 0;
        size_ = file_.read(buffer_);
        return size_ > 0;
    }
    const char* input() const { return buffer_.data() + used_; }
    std::int64_t left() const { return size_ - used_; }
    void take(std::int64_t bytes) { used_ += bytes; }
    [[noreturn]] void fail(const std::string& what) const {
        throw BadInput("{} {} (near offset {} of the compressed file)", path_, what, position());
    }

private:
    std::string path_;
    PlainStream file_;
    std::vector<char> buffer_;
    std::int64_t used_ = 0;
    std::int64_t size_ = 0;
};

class ZstdStream : public CompressedStream {
public:
    explicit ZstdStream(const std::string& path)
        : CompressedStream(path), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax,
                               ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
    }
    std::int64_t read(std::span<char> buffer) override {
        ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
        while (out.pos == 0) {
            const bool more = refill();
            if (!more && !in_frame_) return 0;
            ZSTD_inBuffer in{input(), static_cast<std::size_t>(left()), 0};
            const std::size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
            if (ZSTD_isError(result)) fail(std::string("is damaged: ") + ZSTD_getErrorName(result));
            take(static_cast<std::int64_t>(in.pos));
            in_frame_ = result != 0;
            if (!more && in_frame_ && out.pos == 0) fail("is cut off: it ends within a Zstandard frame");
        }
        return static_cast<std::int64_t>(out.pos);
    }

private:
    std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
    bool in_frame_ = false;
};

class GzipStream : public CompressedStream {
public:
    explicit GzipStream(const std::string& path) : CompressedStream(path) {
        constexpr int gzip_wrapper = 16;
        require(inflateInit2(&state_, MAX_WBITS + gzip_wrapper) == Z_OK, "zlib could not be set up for {}",
                path);
    }
    ~GzipStream() override { inflateEnd(&state_); }

    std::int64_t read(std::span<char> buffer) override {
        state_.next_out = reinterpret_cast<Bytef*>(buffer.data());
        const auto room = static_cast<uInt>(std::min(buffer.size(), std::size_t{1} << 30));
        state_.avail_out = room;
        while (state_.avail_out == room) {
            if (!refill()) {
                if (in_member_) fail("is cut off: it ends within a gzip member");
                return 0;
            }
            inflate_some();
        }
        return room - state_.avail_out;
    }

private:
    void inflate_some() {
        if (!std::exchange(in_member_, true)) inflateReset(&state_);
        state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input()));
        state_.avail_in = static_cast<uInt>(left());
        const auto before = state_.avail_in;
        const int result = inflate(&state_, Z_NO_FLUSH);
        take(before - state_.avail_in);
        if (result == Z_STREAM_END)
            in_member_ = false;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            fail(std::string("is damaged: ") + (state_.msg != nullptr ? state_.msg : "not gzip data"));
    }
    z_stream state_{};
    bool in_member_ = false;
};

}  // namespace

bool is_compressed(const std::string& path) {
    return path.ends_with(".gz") || path.ends_with(".zst");
}

std::int64_t decompression_bytes(const std::string& path) {
    if (!path.ends_with(".zst")) return 0;
    std::array<char, 18> header{};  // the longest there is
    const auto got = PlainStream(path, 0).read(header);
    const std::size_t bytes =
        ZSTD_estimateDStreamSize_fromFrame(header.data(), static_cast<std::size_t>(got));
    return ZSTD_isError(bytes) != 0 ? 0 : static_cast<std::int64_t>(bytes);  // damage is found by reading
}

std::unique_ptr<ByteStream> open_bytes(const std::string& path, std::int64_t begin) {
    if (path.ends_with(".gz")) return std::make_unique<GzipStream>(path);
    if (path.ends_with(".zst")) return std::make_unique<ZstdStream>(path);
    return std::make_unique<PlainStream>(path, begin);
}

}  // namespace eckart::text
