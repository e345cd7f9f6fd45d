#pragma once

#include <filesystem>
#include <utility>

namespace eckart::io {

/// A directory that one job alone may write to, until the lock is destroyed or the process ends, however it
/// ends.
class DirectoryLock {
public:
    /// Throws `Error` naming the holder when another process has it.
    explicit DirectoryLock(const std::filesystem::path& directory);
    ~DirectoryLock();
    DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&&) = delete;

private:
    int descriptor_ = -1;
};

}  // namespace eckart::io
