#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace eckart {

/// A 128-bit content digest (XXH3), printed as 32 hexadecimal digits. Not cryptographic.
struct Digest {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend bool operator==(const Digest&, const Digest&) = default;
    friend auto operator<=>(const Digest&, const Digest&) = default;

    /// Sum modulo 2^128: the digest of a multiset does not depend on the order of its members.
    Digest& operator+=(const Digest& other) {
        low += other.low;
        high += other.high + (low < other.low ? 1 : 0);
        return *this;
    }
    std::string hex() const;
    /// Throws `Error` unless `text` is 32 hexadecimal digits.
    static Digest parse(std::string_view text);
};

/// The digest of bytes fed piece by piece.
class Hasher {
public:
    Hasher();
    ~Hasher();
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;

    Hasher& add(std::span<const std::byte> bytes);
    Hasher& add(std::string_view text) { return add(std::as_bytes(std::span(text.data(), text.size()))); }
    Digest digest() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

Digest digest_of(std::span<const std::byte> bytes);
inline Digest digest_of(std::string_view text) {
    return digest_of(std::as_bytes(std::span(text.data(), text.size())));
}

/// Digest of the elements of `values` as they lie in memory (little-endian).
template <typename T>
requires std::is_arithmetic_v<T> Digest digest_of(std::span<const T> values) {
    return digest_of(std::as_bytes(values));
}

}  // namespace eckart
