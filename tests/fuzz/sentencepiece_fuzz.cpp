// Any small vocabulary and any text over its letters: the ids are those of libsentencepiece.

#include "eckart/text/tokenizer.hpp"
#include "fuzz.hpp"
#include "text/sentencepiece_model.hpp"

#include <array>
#include <set>

using namespace eckart;

namespace {

constexpr std::array letters{"\u2581", "a", "b", "c", "\u00e9", "\u4e2d", "<", "d"};

/// A model as the input chooses it: pieces of one to four letters with scores of which some are equal.
text::SentencePieceModel model_of(fuzz::Input& input) {
    text::SentencePieceModel model;
    model.dummy_prefix = input.choice(2) == 0;
    model.remove_extra_whitespaces = input.choice(8) == 7;
    std::set<std::string> pieces;
    const auto add = [&](const std::string& piece, float score) {
        if (pieces.insert(piece).second) model.add(piece, score);
    };
    if (input.choice(4) != 3)
        for (const char* letter : letters) add(letter, 0);
    for (unsigned count = input.choice(48); count > 0; --count) {
        std::string piece;
        for (unsigned length = 1 + input.choice(4); length > 0; --length)
            piece += letters[input.choice(letters.size())];
        add(piece, -static_cast<float>(input.choice(16)));
    }
    return model;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::string path = fuzz::file("fuzz.model", model_of(input).serialized());
    const auto ours = text::load_sentencepiece(path), reference = text::load_sentencepiece_reference(path);
    std::string document;
    while (!input.empty()) {
        const unsigned letter = input.choice(letters.size() + 2);
        document += letter < letters.size() ? letters[letter] : letter == letters.size() ? " " : "\u0301";
    }
    std::vector<text::TokenId> ids, expected;
    ours->encode(document, ids);
    reference->encode(document, expected);
    fuzz::must_hold(ids == expected, "ids are libsentencepiece's");
    return 0;
}
