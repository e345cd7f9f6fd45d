// Any bytes as a tokenizer.json: it loads and encodes, or is refused with an Error.

#include "eckart/base/error.hpp"
#include "eckart/text/tokenizer.hpp"
#include "fuzz.hpp"

using namespace eckart;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string path = fuzz::file("tokenizer.json", {reinterpret_cast<const char*>(data), size});
    try {
        const auto tokenizer = text::load_tokenizer(path);
        std::vector<text::TokenId> ids;
        for (const char* document : {"", " a ab  ba<x>\u2581 e\u0301 \u4e2d\n", "<x><x>a<x"})
            tokenizer->encode(document, ids);
        for (const text::TokenId id : ids)
            fuzz::must_hold(id < tokenizer->vocabulary_size(), "ids are in range");
    } catch (const Error&) {
    }
    return 0;
}
