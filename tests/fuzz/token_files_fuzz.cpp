// Any bytes as a .npy or as the .idx of a Megatron file: its tokens are read to the end or refused with an
// Error.

#include "eckart/base/error.hpp"
#include "eckart/text/megatron_index.hpp"
#include "eckart/text/token_file.hpp"
#include "fuzz.hpp"

using namespace eckart;

namespace {

constexpr std::int64_t vocabulary = 300;

void read(const std::string& path, const text::TokenLayout& layout,
          const std::shared_ptr<const text::MegatronIndex>& documents) {
    std::int64_t tokens = 0;
    const std::int64_t middle = layout.count / 2;
    for (const auto& [begin, end] : {std::pair{std::int64_t{0}, middle}, std::pair{middle, layout.count}}) {
        const auto source = text::open_tokens(path, layout, begin, end,
                                              {.order = 3, .vocabulary = vocabulary, .documents = documents});
        for (text::TokenChunk chunk; source->next(chunk);)
            for (const text::TokenId id : chunk.tokens) fuzz::must_hold(id < vocabulary, "ids are in range");
        tokens += source->counts().tokens;
    }
    fuzz::must_hold(tokens == layout.count, "two halves hold all tokens");
}

void read_megatron(std::string_view index) {
    static const std::string bin = fuzz::file("m.bin", std::string(24, '\1'));
    const auto documents = std::make_shared<const text::MegatronIndex>(fuzz::file("m.idx", index), bin, 24);
    read(bin, text::flat_layout(bin, documents->token_type()), documents);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    try {
        if (input.choice(2) == 0) {
            read_megatron(input.rest());
        } else {
            const std::string path = fuzz::file("a.npy", input.rest());
            read(path, text::read_npy_layout(path), nullptr);
        }
    } catch (const Error&) {
    }
    return 0;
}
