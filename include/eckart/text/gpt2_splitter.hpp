#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace eckart::text {

/// Cuts text to words as GPT-2 does, by the pattern
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
class Gpt2Splitter {
public:
    Gpt2Splitter();
    /// The end of the word that starts at `begin`. Requires valid UTF-8 and begin < text.size().
    std::size_t word_end(std::string_view text, std::size_t begin) const;

private:
    enum class Class : std::uint8_t { other, letter, number, space };
    /// Of the character at `at`, which moves behind it.
    Class take(std::string_view text, std::size_t& at) const;
    std::size_t run_end(std::string_view text, std::size_t at, Class which) const;
    std::vector<Class> classes_;  ///< by code point
};

}  // namespace eckart::text
