#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace eckart::io {

/// A file being made. It is written under `partial()` and appears under its own name only by `commit()`:
/// fsync, rename, fsync of the directory. Destroyed before that, it is removed. Readers look for the own name
/// only, so a half-written file is never taken for whole.
class PendingFile {
public:
    explicit PendingFile(std::filesystem::path path);
    ~PendingFile();
    PendingFile(PendingFile&& other) noexcept;
    PendingFile& operator=(PendingFile&&) = delete;

    const std::filesystem::path& path() const { return path_; }
    const std::filesystem::path& partial() const { return partial_; }
    /// Requires the file to be closed. Throws `Error` naming the path and the cause.
    void commit();

private:
    std::filesystem::path path_;
    std::filesystem::path partial_;
    bool pending_ = true;
};

/// Writes `text` as a whole, atomically and durably. Throws `Error` naming path, bytes wanted and bytes free.
void write_file(const std::filesystem::path& path, std::string_view text);
/// Throws `Error` naming the path and the cause.
std::string read_file(const std::filesystem::path& path);
/// Makes a directory and its parents. Throws `Error` naming it when it cannot be made or written to.
void make_directory(const std::filesystem::path& path);
void sync_file(const std::filesystem::path& path);
/// ": No space left on device, 12 MiB free" - the system's text for `error` and, on a full disk, what is
/// left.
std::string cause_of(int error, const std::filesystem::path& path);

}  // namespace eckart::io
