#include "eckart/text/token_file.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <vector>

namespace eckart::text {

namespace {

std::string read_bytes(std::ifstream& file, const std::string& path, std::int64_t at, std::int64_t bytes) {
    std::string data(static_cast<std::size_t>(bytes), '\0');
    file.clear();
    file.seekg(at);
    if (!file.read(data.data(), bytes))
        throw Error("{} ends at offset {}, {} bytes were expected from offset {}", path, at + file.gcount(),
                    bytes, at);
    return data;
}

template <typename T>
std::vector<std::int64_t> widened(const std::string& bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return {values.begin(), values.end()};
}

std::vector<std::int64_t> decode(const std::string& bytes, const std::string& type) {
    if (type == "uint16") return widened<std::uint16_t>(bytes);
    if (type == "int32") return widened<std::int32_t>(bytes);
    if (type == "uint32") return widened<std::uint32_t>(bytes);
    return widened<std::int64_t>(bytes);
}

class TokenFileSource : public TokenSource {
public:
    TokenFileSource(std::string path, const TokenLayout& layout, std::int64_t begin, std::int64_t end,
                    int order, std::optional<std::int64_t> separator, std::int64_t vocabulary)
        : path_(std::move(path)),
          layout_(layout),
          order_(order),
          separator_(separator),
          vocabulary_(vocabulary) {
        load(std::max<std::int64_t>(0, begin - (order - 1)), begin, end);
    }
    bool next(TokenChunk& chunk) override;

private:
    void load(std::int64_t from, std::int64_t begin, std::int64_t end);
    std::string path_;
    TokenLayout layout_;
    int order_;
    std::optional<std::int64_t> separator_;
    std::int64_t vocabulary_;
    std::vector<TokenId> tokens_;          ///< what is left of the file is before position_
    std::vector<std::size_t> separators_;  ///< their positions in tokens_
    std::size_t position_ = 0;
    std::size_t lead_in_ = 0;
    bool starts_document_ = true;
    std::size_t next_separator_ = 0;
};

/// Reads tokens [from, end), of which those before `begin` lead in.
void TokenFileSource::load(std::int64_t from, std::int64_t begin, std::int64_t end) {
    std::ifstream file(path_, std::ios::binary);
    require(static_cast<bool>(file), "cannot open {}{}", path_, io::cause_of(errno, path_));
    const std::int64_t width = token_bytes(layout_.type);
    const auto ids =
        decode(read_bytes(file, path_, layout_.begin + from * width, (end - from) * width), layout_.type);
    tokens_.resize(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (separator_ && ids[i] == *separator_) {
            separators_.push_back(i);
            continue;
        }
        require(ids[i] >= 0 && ids[i] < vocabulary_,
                "{}: the token at offset {} has id {}, the vocabulary holds {}", path_,
                layout_.begin + (from + static_cast<std::int64_t>(i)) * width, ids[i], vocabulary_);
        tokens_[i] = static_cast<TokenId>(ids[i]);
    }
    // A document that began before this shard leads in with what follows the last separator before it.
    lead_in_ = static_cast<std::size_t>(begin - from);
    starts_document_ = begin == 0;
    while (next_separator_ < separators_.size() && separators_[next_separator_] < lead_in_ + position_) {
        const std::size_t after = separators_[next_separator_++] + 1;
        lead_in_ -= after - position_;
        position_ = after;
        starts_document_ = lead_in_ == 0;
    }
}

bool TokenFileSource::next(TokenChunk& chunk) {
    while (position_ < tokens_.size()) {
        const std::size_t end =
            next_separator_ < separators_.size() ? separators_[next_separator_++] : tokens_.size();
        const auto length = static_cast<std::int64_t>(end - position_),
                   lead_in = static_cast<std::int64_t>(lead_in_);
        chunk = {.tokens = std::span(tokens_).subspan(position_, end - position_),
                 .starts_document = starts_document_,
                 .lead_in = lead_in};
        position_ = end + 1;
        lead_in_ = 0;
        const bool starts = std::exchange(starts_document_, true);
        counts_.bytes =
            static_cast<std::int64_t>(std::min(position_, tokens_.size())) * token_bytes(layout_.type);
        if (length == lead_in)
            continue;  // nothing of its own: two separators in a row, or one at the shard's border
        counts_.documents += starts;
        counts_.tokens += length - lead_in;
        counts_.expected_ngrams += std::max<std::int64_t>(0, length - order_ + 1);
        return true;
    }
    return false;
}

}  // namespace

std::int64_t token_bytes(const std::string& type) {
    return type == "uint16" ? 2 : type == "int64" ? 8 : 4;
}

TokenLayout flat_layout(const std::string& path, const std::string& type) {
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
    require(size % token_bytes(type) == 0, "{} has {} bytes, not a multiple of the {} bytes of a {}", path,
            size, token_bytes(type), type);
    return {.type = type, .begin = 0, .count = size / token_bytes(type)};
}

TokenLayout read_npy_layout(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    require(static_cast<bool>(file), "cannot open {}{}", path, io::cause_of(errno, path));
    const std::string magic = read_bytes(file, path, 0, 10);
    require(magic.starts_with("\x93NUMPY"), "{} is not a .npy file", path);
    const bool long_header = magic[6] >= 2;
    const std::string length = read_bytes(file, path, 8, long_header ? 4 : 2);
    std::int64_t header_bytes = 0;
    for (std::size_t i = 0; i < length.size(); ++i)
        header_bytes |= std::int64_t{static_cast<unsigned char>(length[i])} << (8 * i);
    const std::int64_t header_begin = long_header ? 12 : 10;
    const std::string header = read_bytes(file, path, header_begin, header_bytes);
    std::smatch type, shape;
    static const std::regex type_pattern("'descr': *'([<|>=]?[a-z]\\d+)'"),
        shape_pattern("'shape': *\\((\\d+),\\)");
    require(std::regex_search(header, type, type_pattern) && std::regex_search(header, shape, shape_pattern),
            "{} is not a one-dimensional array of numbers: {}", path, header.substr(0, header.find('\n')));
    const std::string name = type[1];
    const std::string known = name == "<u2"   ? "uint16"
                              : name == "<i4" ? "int32"
                              : name == "<u4" ? "uint32"
                              : name == "<i8" ? "int64"
                                              : "";
    require(!known.empty(), "{} holds numbers of type {}: token ids are <u2, <i4, <u4 or <i8", path, name);
    const TokenLayout layout{
        .type = known, .begin = header_begin + header_bytes, .count = std::stoll(shape[1])};
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path)),
               wanted = layout.begin + layout.count * token_bytes(known);
    require(size == wanted, "{} has {} bytes, its header speaks of {}", path, size, wanted);
    return layout;
}

std::unique_ptr<TokenSource> open_tokens(const std::string& path, const TokenLayout& layout,
                                         std::int64_t begin, std::int64_t end, int order,
                                         std::optional<std::int64_t> separator, std::int64_t vocabulary) {
    return std::make_unique<TokenFileSource>(path, layout, begin, end, order, separator, vocabulary);
}

}  // namespace eckart::text
