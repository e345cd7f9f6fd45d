#pragma once

#include "eckart/base/error.hpp"
#include "eckart/ngrams/word.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace eckart::ngrams {

inline constexpr int least_order = 2;
inline constexpr int greatest_order = 8;
inline constexpr std::int64_t greatest_vocabulary = std::int64_t{1} << 21;

/// Contexts are spread over 2^16 partitions, whatever the corpus, the ranks and the memory: the unit of
/// sorting.
inline constexpr int partition_bits = 16;
inline constexpr std::int64_t partition_count = std::int64_t{1} << partition_bits;

/// A bijection of the integers of `bits` <= 64 bits that spreads every input bit over the high output bits:
/// two rounds of xor-shift (by half the width, so it undoes itself) and odd multiplication.
class Bijection {
public:
    explicit constexpr Bijection(int bits) : shift_((bits + 1) / 2), mask_(low_bits<std::uint64_t>(bits)) {}
    constexpr std::uint64_t forward(std::uint64_t x) const {
        x = ((x ^ (x >> shift_)) * first) & mask_;
        x = ((x ^ (x >> shift_)) * second) & mask_;
        return x ^ (x >> shift_);
    }
    constexpr std::uint64_t backward(std::uint64_t x) const {
        x = ((x ^ (x >> shift_)) * inverse(second)) & mask_;
        x = ((x ^ (x >> shift_)) * inverse(first)) & mask_;
        return x ^ (x >> shift_);
    }

private:
    static constexpr std::uint64_t first = 0xff51afd7ed558ccdULL, second = 0xc4ceb9fe1a85ec53ULL;
    /// Newton's iteration modulo 2^64; each step doubles the right bits.
    static constexpr std::uint64_t inverse(std::uint64_t odd) {
        std::uint64_t result = odd;
        for (int step = 0; step < 6; ++step) result *= 2 - odd * result;
        return result;
    }
    int shift_;
    std::uint64_t mask_;
};

/// Bits of the hash by which contexts are sampled. With those of the partition they are at most the 64 bits
/// that the bijection mixes, and no more than the context has in a record.
inline constexpr int sample_bits = 43;

/// How an n-gram becomes integers. Its context, (order - 1) tokens of `token_bits` bits, goes through a
/// bijection to a key of `key_bits` bits; the key's 16 high bits are the partition, the rest of it and the
/// successor are the record. Records of a partition sort by context, then successor, and both can be read
/// back.
template <typename Word>
class Packing {
public:
    static int token_bits_for(std::int64_t vocabulary) {
        return std::max(16, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(vocabulary - 1))));
    }
    /// Whether n-grams of this order and vocabulary fit in the word and the 16 bits of the partition.
    static bool holds(int order, std::int64_t vocabulary) {
        return order * token_bits_for(vocabulary) <= word_bits<Word> + partition_bits;
    }

    Packing(int order, std::int64_t vocabulary)
        : order_(checked(order, vocabulary)),
          token_bits_(token_bits_for(vocabulary)),
          key_bits_(word_bits<Word> + partition_bits - token_bits_),
          token_mask_(low_bits<Word>(token_bits_)),
          context_mask_(low_bits<Word>((order - 1) * token_bits_)),
          bijection_(std::min(key_bits_, 64)) {}

    int order() const { return order_; }
    int token_bits() const { return token_bits_; }

    /// The context after one more token.
    Word push(const Word& context, std::uint32_t token) const {
        return ((context << token_bits_) | Word{token}) & context_mask_;
    }
    Word key(const Word& context) const {
        if constexpr (word_bits<Word> == 64) {
            return bijection_.forward(context);
        } else {
            const Word rest = context & low_bits<Word>(key_bits_ - 64);
            const auto top = static_cast<std::uint64_t>(context >> (key_bits_ - 64));
            return (Word{bijection_.forward(top + bijection_.forward(folded(rest)))} << (key_bits_ - 64)) |
                   rest;
        }
    }
    Word context(const Word& key) const {
        if constexpr (word_bits<Word> == 64) {
            return bijection_.backward(key);
        } else {
            const Word rest = key & low_bits<Word>(key_bits_ - 64);
            const auto top = static_cast<std::uint64_t>(key >> (key_bits_ - 64));
            return (Word{bijection_.backward(top) - bijection_.forward(folded(rest))} << (key_bits_ - 64)) |
                   rest;
        }
    }

    std::uint32_t partition(const Word& key) const {
        return static_cast<std::uint32_t>(static_cast<std::uint64_t>(key >> (key_bits_ - partition_bits)));
    }
    /// The partition's bits fall off the high end.
    Word record(const Word& key, std::uint32_t successor) const {
        return (key << token_bits_) | Word{successor};
    }
    std::uint32_t successor(const Word& record) const {
        return static_cast<std::uint32_t>(static_cast<std::uint64_t>(record & token_mask_));
    }
    /// What all records of one context share.
    Word context_part(const Word& record) const { return record >> token_bits_; }
    /// A uniform hash of the context, ascending within a partition: the leading bits of its part of the
    /// record.
    std::uint64_t sample_hash(const Word& record) const {
        return static_cast<std::uint64_t>(record >> (word_bits<Word> - sample_bits));
    }
    std::vector<std::uint32_t> context_tokens(std::uint32_t partition, const Word& record) const {
        Word tokens = context((Word{partition} << (key_bits_ - partition_bits)) | (record >> token_bits_));
        std::vector<std::uint32_t> ids(static_cast<std::size_t>(order_ - 1));
        for (std::size_t i = ids.size(); i-- > 0; tokens = tokens >> token_bits_) ids[i] = successor(tokens);
        return ids;
    }

private:
    static std::uint64_t folded(const Word& rest) {
        constexpr std::uint64_t odd = 0x9e3779b97f4a7c15ULL;
        if constexpr (word_bits<Word> == 192) return rest.limb(0) + odd * rest.limb(1);
        return static_cast<std::uint64_t>(rest);
    }

    /// Before any mask is made, for which the bits must be there.
    static int checked(int order, std::int64_t vocabulary) {
        require(holds(order, vocabulary), "{}-grams of {} tokens do not fit in {} bits", order, vocabulary,
                word_bits<Word> + partition_bits);
        return order;
    }

    int order_;
    int token_bits_;
    int key_bits_;
    Word token_mask_;
    Word context_mask_;
    Bijection bijection_;
};

}  // namespace eckart::ngrams
