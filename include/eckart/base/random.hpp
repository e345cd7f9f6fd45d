#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace eckart {

/// 64 well-mixed bits (the finaliser of SplitMix64: Steele, Lea and Flood, 2014). A bijection of 64-bit
/// words.
constexpr std::uint64_t mix64(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/// Counter-based random numbers: the value is a function of (seed, row, column) alone, so a random matrix is
/// the same on any number of ranks, threads and tiles.
class CounterRandom {
public:
    explicit constexpr CounterRandom(std::uint64_t seed) : seed_(mix64(seed + 0x9e3779b97f4a7c15ULL)) {}

    constexpr std::uint64_t bits(std::uint64_t row, std::uint64_t column, std::uint64_t stream = 0) const {
        const std::uint64_t a = mix64(seed_ ^ mix64(row + 0xd1b54a32d192ed03ULL));
        return mix64(a + mix64(column * 2 + 0x8cb92ba72f3d8dd7ULL) + mix64(stream + 0x2545f4914f6cdd1dULL));
    }
    /// Uniform in (0, 1).
    constexpr double uniform(std::uint64_t row, std::uint64_t column, std::uint64_t stream = 0) const {
        return (static_cast<double>(bits(row, column, stream) >> 11) + 0.5) * 0x1p-53;
    }
    /// Standard normal (Box and Muller 1958).
    double gaussian(std::uint64_t row, std::uint64_t column) const {
        const double radius = std::sqrt(-2.0 * std::log(uniform(row, column, 1)));
        return radius * std::cos(2.0 * std::numbers::pi * uniform(row, column, 2));
    }

private:
    std::uint64_t seed_;
};

}  // namespace eckart
