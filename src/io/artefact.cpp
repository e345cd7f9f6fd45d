#include "eckart/io/artefact.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

namespace eckart::io {

namespace fs = std::filesystem;

namespace {

/// A POSIX descriptor, closed in silence when left.
class Descriptor {
public:
    Descriptor(const fs::path& path, int flags)
        : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
        if (fd_ < 0) fail("open");
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(Descriptor&&) = delete;

    void write(std::string_view text) {
        while (!text.empty()) {
            const ssize_t written = ::write(fd_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0)
                throw Error("cannot write {} bytes to {}{}", text.size(), path_.string(),
                            cause_of(errno, path_));
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    }
    void sync() {
        if (::fsync(fd_) != 0 && errno != EINVAL) fail("sync");
    }
    void close() {
        if (::close(std::exchange(fd_, -1)) != 0) fail("close");
    }

private:
    [[noreturn]] void fail(const char* what) {
        throw Error("cannot {} {}{}", what, path_.string(), cause_of(errno, path_));
    }
    const fs::path& path_;
    int fd_;
};

fs::path directory_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

std::string cause_of(int error, const fs::path& path) {
    std::string text = fmt::format(": {}", std::strerror(error));
    if (error == ENOSPC || error == EDQUOT) {
        std::error_code ignored;
        const fs::space_info space = fs::space(directory_of(path), ignored);
        if (!ignored) text += fmt::format(", {} free", format_bytes(static_cast<double>(space.available)));
    }
    return text;
}

PendingFile::PendingFile(fs::path path) : path_(std::move(path)), partial_(path_.string() + ".partial") {}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::move(other.partial_)),
      pending_(std::exchange(other.pending_, false)) {}

PendingFile::~PendingFile() {
    std::error_code ignored;
    if (pending_) fs::remove(partial_, ignored);
}

void PendingFile::commit() {
    sync_file(partial_);
    if (std::rename(partial_.c_str(), path_.c_str()) != 0)
        throw Error("cannot rename {} to {}{}", partial_.string(), path_.string(), cause_of(errno, path_));
    pending_ = false;
    sync_file(directory_of(path_));
}

void sync_file(const fs::path& path) {
    Descriptor file(path, O_RDONLY);
    file.sync();
    file.close();
}

void write_file(const fs::path& path, std::string_view text) {
    PendingFile pending(path);
    Descriptor file(pending.partial(), O_WRONLY | O_CREAT | O_TRUNC);
    file.write(text);
    file.close();
    pending.commit();
}

std::string read_file(const fs::path& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || fs::is_directory(path))
        throw Error("cannot open {}{}", path.string(), cause_of(errno != 0 ? errno : EISDIR, path));
    text << file.rdbuf();
    if (file.bad()) throw Error("cannot read {}{}", path.string(), cause_of(errno, path));
    return std::move(text).str();
}

void make_directory(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) throw Error("cannot make the directory {}: {}", path.string(), error.message());
    if (::access(path.c_str(), W_OK | X_OK) != 0)
        throw Error("cannot write to the directory {}{}", path.string(), cause_of(errno, path));
}

}  // namespace eckart::io
