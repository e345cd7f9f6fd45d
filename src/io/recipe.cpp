#include "eckart/io/recipe.hpp"

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>

#include <sys/stat.h>

namespace eckart::io {

namespace {

constexpr std::int64_t sample_bytes = std::int64_t{1} << 20;
constexpr std::int64_t samples = 64;

std::string dotted(std::string pointer) {
    pointer.erase(0, 1);
    std::replace(pointer.begin(), pointer.end(), '/', '.');
    return pointer;
}

}  // namespace

std::string differences(const Recipe& old_recipe, const Recipe& new_recipe) {
    const Recipe before = old_recipe.flatten(), after = new_recipe.flatten();
    std::string text;
    const auto say = [&](const std::string& key, const std::string& a, const std::string& b) {
        text += fmt::format("{}{} {} -> {}", text.empty() ? "" : ", ", dotted(key), a, b);
    };
    for (const auto& [key, value] : before.items()) {
        const auto other = after.find(key);
        if (other == after.end())
            say(key, value.dump(), "(none)");
        else if (*other != value)
            say(key, value.dump(), other->dump());
    }
    for (const auto& [key, value] : after.items())
        if (!before.contains(key)) say(key, "(none)", value.dump());
    return text;
}

std::string input_digest(const std::filesystem::path& path) {
    struct stat facts {};
    require(stat(path.c_str(), &facts) == 0, "cannot read {}{}", path.string(), cause_of(errno, path));
    std::ifstream file(path, std::ios::binary);
    require(static_cast<bool>(file), "cannot open {}{}", path.string(), cause_of(errno, path));
    const std::int64_t size = facts.st_size;
    Hasher hasher;
    const bool whole = size <= samples * sample_bytes;
    if (!whole)
        hasher.add(fmt::format("size {} modified {}.{} ", size, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec));
    std::string piece(sample_bytes, '\0');
    for (std::int64_t i = 0; i < samples; ++i) {
        const std::int64_t at = whole ? i * sample_bytes : (size - sample_bytes) / (samples - 1) * i;
        if (at >= size) break;
        const std::int64_t bytes = std::min(sample_bytes, size - at);
        file.seekg(at);
        require(static_cast<bool>(file.read(piece.data(), bytes)), "cannot read {} at offset {}{}",
                path.string(), at, cause_of(errno, path));
        hasher.add(std::string_view(piece).substr(0, static_cast<std::size_t>(bytes)));
    }
    return hasher.digest().hex();
}

}  // namespace eckart::io
