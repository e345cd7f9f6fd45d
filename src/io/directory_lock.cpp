#include "eckart/io/directory_lock.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/io/artefact.hpp"

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace eckart::io {

DirectoryLock::DirectoryLock(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / ".lock";
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    require(descriptor_ >= 0, "cannot open {}{}", path.string(), cause_of(errno, path));
    // Whoever asks whether a directory is in use holds it for a moment: such a moment is waited for.
    constexpr int tries = 20;
    for (int i = 0; i < tries && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        const std::string holder = error == EWOULDBLOCK ? read_file(path) : "";
        ::close(std::exchange(descriptor_, -1));
        require(error == EWOULDBLOCK, "cannot lock {}{}", path.string(), cause_of(error, path));
        throw Error("another job is writing to {} ({})", directory.string(), holder);
    }
    // Who holds it, for the message above; the lock itself does not depend on it.
    const std::string text = fmt::format("process {} on {}, since {}", ::getpid(), host_name(), utc_now());
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, text.data(), text.size(), 0) < 0)
        throw Error("cannot write to {}{}", path.string(), cause_of(errno, path));
}

DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace eckart::io
