#pragma once

#include "eckart/base/wide.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace eckart::ngrams {

/// 192-bit unsigned integer: just what packing and sorting the widest n-grams takes.
class Word192 {
public:
    constexpr Word192() = default;
    constexpr Word192(std::uint64_t value) : limbs_{value, 0, 0} {}
    constexpr Word192(std::uint64_t high, std::uint64_t middle, std::uint64_t low)
        : limbs_{low, middle, high} {}

    constexpr explicit operator std::uint64_t() const { return limbs_[0]; }
    constexpr std::uint64_t limb(int number) const { return limbs_[static_cast<std::size_t>(number)]; }

    friend constexpr Word192 operator<<(const Word192& x, int by) {
        const auto [limbs, bits] = std::array{by / 64, by % 64};
        Word192 result;
        for (int i = 2; i >= limbs; --i) {
            result.limbs_[i] = x.limbs_[i - limbs] << bits;
            if (bits > 0 && i > limbs) result.limbs_[i] |= x.limbs_[i - limbs - 1] >> (64 - bits);
        }
        return result;
    }
    friend constexpr Word192 operator>>(const Word192& x, int by) {
        const auto [limbs, bits] = std::array{by / 64, by % 64};
        Word192 result;
        for (int i = 0; i + limbs < 3; ++i) {
            result.limbs_[i] = x.limbs_[i + limbs] >> bits;
            if (bits > 0 && i + limbs < 2) result.limbs_[i] |= x.limbs_[i + limbs + 1] << (64 - bits);
        }
        return result;
    }
    friend constexpr Word192 operator|(const Word192& x, const Word192& y) {
        return {x.limbs_[2] | y.limbs_[2], x.limbs_[1] | y.limbs_[1], x.limbs_[0] | y.limbs_[0]};
    }
    friend constexpr Word192 operator&(const Word192& x, const Word192& y) {
        return {x.limbs_[2] & y.limbs_[2], x.limbs_[1] & y.limbs_[1], x.limbs_[0] & y.limbs_[0]};
    }
    friend constexpr Word192 operator-(const Word192& x, const Word192& y) {
        Word192 result;
        std::uint64_t borrow = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            const Wide difference = Wide{x.limbs_[i]} - y.limbs_[i] - borrow;
            result.limbs_[i] = static_cast<std::uint64_t>(difference);
            borrow = (difference >> 64) != 0;
        }
        return result;
    }
    friend constexpr Word192 operator+(const Word192& x, const Word192& y) {
        Word192 result;
        Wide sum = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            sum = (sum >> 64) + x.limbs_[i] + y.limbs_[i];
            result.limbs_[i] = static_cast<std::uint64_t>(sum);
        }
        return result;
    }
    friend constexpr bool operator==(const Word192&, const Word192&) = default;
    friend constexpr std::strong_ordering operator<=>(const Word192& x, const Word192& y) {
        for (const int i : {2, 1, 0})
            if (x.limb(i) != y.limb(i)) return x.limb(i) <=> y.limb(i);
        return std::strong_ordering::equal;
    }

private:
    std::array<std::uint64_t, 3> limbs_{};  // least first
};

/// Unsigned integer that takes so many bytes in memory, 9 to 15, and is computed with as one of 128 bits.
template <std::size_t bytes>
class [[gnu::packed]] NarrowWord {
public:
    NarrowWord() = default;  // not initialised: arrays of words are made to be filled
    /// What does not fit falls off the high end.
    NarrowWord(Wide value)
        : low_(static_cast<std::uint64_t>(value)),
          high_(static_cast<std::uint64_t>(value >> 64) & high_mask) {}

    explicit operator std::uint64_t() const { return static_cast<std::uint64_t>(wide()); }

    friend NarrowWord operator<<(const NarrowWord& x, int by) { return x.wide() << by; }
    friend NarrowWord operator>>(const NarrowWord& x, int by) { return x.wide() >> by; }
    friend NarrowWord operator|(const NarrowWord& x, const NarrowWord& y) { return x.wide() | y.wide(); }
    friend NarrowWord operator&(const NarrowWord& x, const NarrowWord& y) { return x.wide() & y.wide(); }
    friend NarrowWord operator-(const NarrowWord& x, const NarrowWord& y) { return x.wide() - y.wide(); }
    friend NarrowWord operator+(const NarrowWord& x, const NarrowWord& y) { return x.wide() + y.wide(); }
    friend bool operator==(const NarrowWord& x, const NarrowWord& y) { return x.wide() == y.wide(); }
    friend std::strong_ordering operator<=>(const NarrowWord& x, const NarrowWord& y) {
        return x.wide() <=> y.wide();
    }

private:
    static_assert(bytes > sizeof(std::uint64_t) && bytes < sizeof(Wide));
    static constexpr int high_bits = 8 * (bytes - sizeof(std::uint64_t));
    static constexpr std::uint64_t high_mask = (std::uint64_t{1} << high_bits) - 1;
    Wide wide() const { return (Wide{high_} << 64) | low_; }
    // Members of their own, not bytes: in registers while it is computed with.
    std::uint64_t low_;
    std::uint64_t high_ : high_bits;
};
static_assert(sizeof(NarrowWord<12>) == 12 && sizeof(NarrowWord<14>) == 14);
using Word96 = NarrowWord<12>;
using Word112 = NarrowWord<14>;

/// Bits of the integers an n-gram record may be: `std::uint64_t`, `Word96`, `Word112`, `Wide`, `Word192`.
template <typename Word>
inline constexpr int word_bits = static_cast<int>(8 * sizeof(Word));

/// The lowest `bits` bits set. Requires 0 < bits <= word_bits<Word>.
template <typename Word>
constexpr Word low_bits(int bits) {
    const Word all = Word{0} - Word{1};
    return all >> (word_bits<Word> - bits);
}

}  // namespace eckart::ngrams
