// Any text through a byte-level tokenizer.json: the pieces spell the text again, and a second time the same
// ids come out of the cache.

#include "eckart/text/tokenizer.hpp"
#include "fuzz.hpp"

#include <nlohmann/json.hpp>
#include <simdjson.h>

using namespace eckart;
using nlohmann::json;

namespace {

/// Bytes that are spelled as themselves; the others as U+0100 and up.
std::string spelling(unsigned byte) {
    static const auto table = [] {
        std::vector<std::string> letters;
        unsigned next = 0x100;
        for (unsigned b = 0; b < 256; ++b) {
            const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
            const unsigned c = printable ? b : next++;
            letters.push_back(c < 0x80 ? std::string(1, static_cast<char>(c))
                                       : std::string{static_cast<char>(0xc0 | c >> 6),
                                                     static_cast<char>(0x80 | (c & 0x3f))});
        }
        return letters;
    }();
    return table[byte];
}

std::unique_ptr<text::Tokenizer> make_tokenizer() {
    json vocabulary, merges = json::array();
    for (unsigned b = 0; b < 256; ++b) vocabulary[spelling(b)] = b;
    const std::vector<std::pair<std::string, std::string>> rules = {
        {"a", "b"}, {"b", "a"},           {"ab", "a"},
        {"a", "a"}, {"aa", "aa"},         {"'", "s"},
        {"1", "2"}, {spelling(' '), "a"}, {spelling(0xc3), spelling(0xa9)}};
    for (const auto& [left, right] : rules) {
        vocabulary[left + right] = vocabulary.size();
        merges.push_back(left + " " + right);
    }
    const json file = {{"added_tokens",
                        {{{"id", 400}, {"content", "<x>"}, {"normalized", false}},
                         {{"id", 401}, {"content", "   "}, {"normalized", true}}}},
                       {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
                       {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
    return text::load_tokenizer(fuzz::file("tokenizer.json", file.dump()));
}

/// The text that a piece stands for.
std::string spelled(const std::string& piece) {
    if (piece == "<x>" || piece == "   ") return piece;
    static const auto bytes = [] {
        std::map<std::string, char> result;
        for (unsigned b = 0; b < 256; ++b) result[spelling(b)] = static_cast<char>(b);
        return result;
    }();
    std::string result;
    for (std::size_t at = 0; at < piece.size();) {
        const std::size_t length = static_cast<unsigned char>(piece[at]) < 0x80 ? 1 : 2;
        result += bytes.at(piece.substr(at, length));
        at += length;
    }
    return result;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto tokenizer = make_tokenizer();
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (!simdjson::validate_utf8(text.data(), text.size())) return 0;
    std::vector<text::TokenId> ids, again;
    tokenizer->encode(text, ids);
    tokenizer->encode(text, again);
    fuzz::must_hold(ids == again, "the cache changes nothing");
    std::string decoded;
    for (const text::TokenId id : ids) decoded += spelled(tokenizer->piece(id));
    fuzz::must_hold(decoded == text, "the pieces spell the text");
    return 0;
}
