#include "eckart/base/exact_sum.hpp"

namespace eckart {

ExactSum ExactSum::ratio(Wide numerator, Wide denominator) {
    require(denominator != 0, "a ratio with denominator zero");
    // Long division, one bit at a time only where 128 bits would overflow: the quotient's fraction, to 2^-64.
    const auto whole = static_cast<std::uint64_t>(numerator / denominator);
    Wide rest = numerator % denominator;
    std::uint64_t fraction = 0;
    if (rest >> 64 == 0) {
        fraction = static_cast<std::uint64_t>((rest << 64) / denominator);
    } else {
        for (int bit = 63; bit >= 0; --bit) {
            const bool carry = (rest >> 127) != 0;
            rest <<= 1;
            if (carry || rest >= denominator) {
                rest -= denominator;
                fraction |= std::uint64_t{1} << bit;
            }
        }
    }
    return {whole, fraction};
}

}  // namespace eckart
