#pragma once

#include "eckart/base/wide.hpp"
#include "eckart/text/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace eckart::text {

/// Tokens on their way to a vector, in batches, so that a token costs no check of capacity.
class TokenBatch {
public:
    explicit TokenBatch(std::vector<TokenId>& tokens) : tokens_(tokens) {}
    ~TokenBatch() { flush(); }
    TokenBatch(TokenBatch&&) = delete;

    /// Room for `most` tokens, of which `advance` says how many were written.
    TokenId* room() {
        if (size_ + most > batch_.size()) flush();
        return batch_.data() + size_;
    }
    void advance(std::size_t count) { size_ += count; }
    /// The vector itself, for tokens in any number.
    std::vector<TokenId>& vector() {
        flush();
        return tokens_;
    }
    static constexpr std::size_t most = 7;

private:
    void flush() {
        tokens_.insert(tokens_.end(), batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ = 0;
    }
    std::vector<TokenId>& tokens_;
    std::array<TokenId, 1024> batch_;
    std::size_t size_ = 0;
};

/// Words that were encoded before, with their tokens: one cache line a word. Longer words, and those of more
/// tokens, are encoded anew. The table grows to `most_bytes`, and starts over empty when that is full.
class WordCache {
public:
    static constexpr std::size_t longest_word = 31;
    static constexpr std::size_t most_bytes = std::size_t{32} << 20;
    /// What it ever holds: while it grows, the old table beside the new one.
    static constexpr std::size_t peak_bytes = most_bytes + most_bytes / 2;
    /// Bytes behind a word that must be readable.
    static constexpr std::size_t padding = 32;

    WordCache() : entries_(first_entries) {}

    /// Puts the tokens of `word` (not empty) into the batch; `encode(word, vector)` makes them when they are
    /// not known. Requires `padding` readable bytes behind `word`.
    template <typename Encode>
    void append(std::string_view word, TokenBatch& batch, Encode&& encode) {
        if (word.size() > longest_word) return encode(word, batch.vector());
        const Key key = key_of(word);
        const std::size_t slot = find(key);
        if (entries_[slot].count != 0) [[likely]] {
            std::memcpy(batch.room(), entries_[slot].tokens.data(), sizeof(Entry::tokens));
            return batch.advance(entries_[slot].count);
        }
        std::vector<TokenId>& tokens = batch.vector();
        const std::size_t before = tokens.size();
        encode(word, tokens);
        keep(slot, key, std::span(tokens).subspan(before));
    }

private:
    using Key = std::array<std::uint64_t, 4>;  ///< the word's bytes, zeros, and its length in the last byte
    struct alignas(64) Entry {
        Key key;
        std::uint32_t count = 0;  ///< 0: free
        std::array<TokenId, TokenBatch::most> tokens;
    };
    static constexpr std::size_t first_entries = std::size_t{1} << 14;
    static constexpr std::size_t most_entries = most_bytes / sizeof(Entry);

    static Key key_of(std::string_view word) {
        static constexpr auto masks = [] {
            std::array<std::uint8_t, 64> bytes{};
            for (std::size_t i = 0; i < 32; ++i) bytes[i] = 0xff;
            return bytes;
        }();
        Key key, mask;
        std::memcpy(key.data(), word.data(), sizeof(key));
        std::memcpy(mask.data(), masks.data() + 32 - word.size(), sizeof(mask));
        for (std::size_t i = 0; i < 4; ++i) key[i] &= mask[i];
        key[3] |= std::uint64_t{word.size()} << 56;
        return key;
    }
    static std::size_t hash_of(const Key& key) {
        const auto fold = [](std::uint64_t a, std::uint64_t b) {
            const Wide product = Wide{a} * b;
            return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
        };
        return fold(key[0] ^ 0x2d358dccaa6c78a5u, key[1] ^ 0x8bb84b93962eacc9u) ^
               fold(key[2] ^ 0x4b33a62ed433d4a3u, key[3] ^ 0x4d5a2da51de1aa47u);
    }
    /// The slot of the key, or the free one where it belongs.
    std::size_t find(const Key& key) const {
        std::size_t slot = hash_of(key) & (entries_.size() - 1);
        while (entries_[slot].count != 0 && entries_[slot].key != key)
            slot = (slot + 1) & (entries_.size() - 1);
        return slot;
    }
    void keep(std::size_t slot, const Key& key, std::span<const TokenId> tokens) {
        if (tokens.empty() || tokens.size() > TokenBatch::most) return;
        entries_[slot].key = key;
        entries_[slot].count = static_cast<std::uint32_t>(tokens.size());
        std::copy(tokens.begin(), tokens.end(), entries_[slot].tokens.begin());
        if (++used_ > entries_.size() / 2) grow();
    }
    void grow() {
        used_ = 0;
        if (entries_.size() == most_entries) {
            for (Entry& entry : entries_) entry.count = 0;
            return;
        }
        const std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(2 * entries_.size()));
        for (const Entry& entry : old) {
            if (entry.count == 0) continue;
            entries_[find(entry.key)] = entry;
            ++used_;
        }
    }
    std::vector<Entry> entries_;
    std::size_t used_ = 0;
};

}  // namespace eckart::text
