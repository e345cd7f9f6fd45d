#pragma once

#include "scratch_directory.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

/// What libFuzzer calls with whatever it made up; the same is called with the seeds by replay.cpp.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace eckart::fuzz {

/// The choices that an input makes first, and the rest of it.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
    unsigned choice(unsigned among) {
        if (rest_.empty()) return 0;
        const auto byte = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return byte % among;
    }
    bool empty() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

/// A file of this name with this content, until the next one.
inline std::string file(const std::string& name, std::string_view content) {
    static const ScratchDirectory scratch;
    const std::string path = (scratch / name).string();
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    return path;
}

/// Ends the program where libFuzzer and the replay see it.
inline void must_hold(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

}  // namespace eckart::fuzz
