#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace eckart::text {

/// A SentencePiece BPE model written from a list of pieces: byte fallback, text taken as it is, as Llama's.
class SentencePieceModel {
public:
    enum Kind : std::uint64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, byte = 6 };

    SentencePieceModel() {
        add("<unk>", 0, unknown);
        add("<s>", 0, control);
        add("</s>", 0, control);
        for (unsigned value = 0; value < 256; ++value) add(fmt::format("<0x{:02X}>", value), 0, byte);
    }
    void add(std::string_view text, float score, Kind kind = normal) {
        std::string number(sizeof(score), '\0');
        std::memcpy(number.data(), &score, sizeof(score));
        const std::string piece = bytes(1, text) + tag(2, fixed32) + number + integer(3, kind);
        pieces_ += bytes(1, piece);
    }
    bool dummy_prefix = true;
    bool remove_extra_whitespaces = false;

    std::string serialized() const {
        constexpr std::uint64_t bpe = 2;
        const std::string trainer = integer(3, bpe) + integer(35, 1);
        const std::string normalizer =
            bytes(1, "identity") + integer(3, dummy_prefix) + integer(4, remove_extra_whitespaces);
        return pieces_ + bytes(2, trainer) + bytes(3, normalizer);
    }

private:
    enum Wire : std::uint64_t { varying = 0, delimited = 2, fixed32 = 5 };
    static std::string varint(std::uint64_t value) {
        std::string result;
        for (; value >= 0x80; value >>= 7) result += static_cast<char>(value | 0x80);
        return result + static_cast<char>(value);
    }
    static std::string tag(std::uint64_t field, Wire wire) { return varint(field << 3 | wire); }
    static std::string integer(std::uint64_t field, std::uint64_t value) {
        return tag(field, varying) + varint(value);
    }
    static std::string bytes(std::uint64_t field, std::string_view value) {
        return tag(field, delimited) + varint(value.size()) + std::string(value);
    }
    std::string pieces_;
};

}  // namespace eckart::text
