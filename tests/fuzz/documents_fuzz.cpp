// Any bytes, as any format of text: read to the end or refused with an Error, whole and from the middle.

#include "eckart/base/error.hpp"
#include "eckart/text/byte_stream.hpp"
#include "eckart/text/document_reader.hpp"
#include "fuzz.hpp"

#include <array>

#include <simdjson.h>

using namespace eckart;

namespace {

void read(const std::string& path, text::Format format, const text::Shard& shard,
          const text::CorpusOptions& options) {
    try {
        const auto reader = text::open_documents(path, format, shard, options);
        for (std::string_view document; reader->next(document);)
            fuzz::must_hold(simdjson::validate_utf8(document.data(), document.size()), "documents are UTF-8");
    } catch (const text::BadInput&) {
        fuzz::must_hold(options.on_error == text::OnError::fail, "bad input is skipped when asked");
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::array names{"a.txt", "a.txt.gz", "a.txt.zst"};
    constexpr std::array formats{text::Format::text, text::Format::text_lines, text::Format::json_lines};
    fuzz::Input input(data, size);
    const std::string name = names[input.choice(names.size())];
    const text::Format format = formats[input.choice(formats.size())];
    text::CorpusOptions options;
    options.on_error = input.choice(2) == 0 ? text::OnError::fail : text::OnError::skip;
    const auto bytes = static_cast<std::int64_t>(input.rest().size());
    const std::string path = fuzz::file(name, input.rest());
    if (text::decompression_bytes(path) > std::int64_t{64} << 20)
        return 0;  // a window that is meant to be long
    read(path, format, {.begin = 0, .end = bytes}, options);
    if (!text::is_compressed(path)) read(path, format, {.begin = bytes / 2, .end = bytes}, options);
    return 0;
}
