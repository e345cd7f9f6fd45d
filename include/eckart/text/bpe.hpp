#pragma once

#include "eckart/text/tokenizer.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace eckart::text {

/// A rule of byte pair encoding: `left` next to `right` becomes `merged`. Least priority goes first, and of
/// equal ones the leftmost in the text.
struct Merge {
    TokenId left;
    TokenId right;
    TokenId merged;
    std::uint32_t priority;
};

/// Merges by their pair: an open-addressed table that is read only once built.
class MergeTable {
public:
    MergeTable() : MergeTable(std::span<const Merge>()) {}
    explicit MergeTable(std::span<const Merge> merges);

    /// Priority in the high half, merged token in the low one; `none` when the pair has no rule.
    static constexpr std::uint64_t none = ~std::uint64_t{0};
    std::uint64_t find(TokenId left, TokenId right) const {
        const std::uint64_t key = key_of(left, right);
        for (std::size_t slot = slot_of(key);; slot = (slot + 1) & mask_) {
            if (slots_[slot].key == key) return slots_[slot].value;
            if (slots_[slot].key == none) return none;
        }
    }

private:
    struct Slot {
        std::uint64_t key = none;
        std::uint64_t value = none;
    };
    static std::uint64_t key_of(TokenId left, TokenId right) { return std::uint64_t{left} << 32 | right; }
    std::size_t slot_of(std::uint64_t key) const {
        return static_cast<std::size_t>((key * 0x9e3779b97f4a7c15u) >> 32) & mask_;
    }
    std::vector<Slot> slots_;
    std::size_t mask_ = 0;
};

/// Byte pair encoding of a piece of text. A character begins as its own token, or, when the vocabulary has
/// none, as one token a byte; then pairs are merged until no rule applies.
/// Cost: quadratic in the length of short pieces, n log n for long ones.
class Bpe {
public:
    /// How text begins before any merge.
    struct Alphabet {
        std::unordered_map<char32_t, TokenId> characters;
        std::array<TokenId, 256> bytes{};
    };

    Bpe() = default;
    Bpe(Alphabet alphabet, std::span<const Merge> merges);
    /// Appends the tokens of `text` (valid UTF-8).
    void encode(std::string_view text, std::vector<TokenId>& tokens);

private:
    void begin(std::string_view text);
    void merge_few();
    void merge_many();

    Alphabet alphabet_;
    MergeTable merges_;
    std::vector<TokenId> symbols_;  ///< scratch
    std::vector<std::uint64_t> rules_;
};

/// The code point that starts at `text[at]`; `at` moves behind it. Requires valid UTF-8.
inline char32_t next_code_point(std::string_view text, std::size_t& at) {
    const auto byte = [&](std::size_t i) {
        return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
    };
    const char32_t first = byte(at);
    if (first < 0x80) return at += 1, first;
    if (first < 0xe0) return at += 2, (first & 0x1f) << 6 | (byte(at - 1) & 0x3f);
    if (first < 0xf0)
        return at += 3, (first & 0x0f) << 12 | (byte(at - 2) & 0x3f) << 6 | (byte(at - 1) & 0x3f);
    return at += 4, (first & 0x07) << 18 | (byte(at - 3) & 0x3f) << 12 | (byte(at - 2) & 0x3f) << 6 |
                        (byte(at - 1) & 0x3f);
}

/// Where text may be cut without changing a token: between two bytes that no rule joins. Known from the rules
/// alone: a merge joins the last byte of its left to the first byte of its right.
class Seams {
public:
    Seams() = default;
    /// Joins the bytes within characters; `join` adds what merges join.
    static Seams within_characters();
    void join(unsigned char left, unsigned char right) { joined_[index(left, right)] = true; }
    /// The end of the unit that starts at `begin`.
    std::size_t unit_end(std::string_view text, std::size_t begin) const {
        std::size_t end = begin + 1;
        while (
            end < text.size() &&
            joined_[index(static_cast<unsigned char>(text[end - 1]), static_cast<unsigned char>(text[end]))])
            ++end;
        return end;
    }

private:
    static std::size_t index(unsigned char left, unsigned char right) {
        return std::size_t{left} << 8 | right;
    }
    std::vector<std::uint8_t> joined_ = std::vector<std::uint8_t>(1 << 16);
};

}  // namespace eckart::text
