#include "eckart/text/token_file.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/text/megatron_index.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string_view>
#include <utility>
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

/// Where a document ends, and where what follows it starts: after the separator, or right there.
struct Cut {
    std::size_t end;
    std::size_t next;
};

/// Tokens [from, end) of a file, of which those before `begin` lead in.
class TokenFileSource : public TokenSource {
public:
    TokenFileSource(const std::string& path, const TokenLayout& layout, std::int64_t begin, std::int64_t end,
                    TokenRules rules)
        : path_(path),
          layout_(layout),
          rules_(std::move(rules)),
          from_(std::max<std::int64_t>(0, begin - (rules_.order - 1))),
          begin_(begin) {
        load(end);
        if (rules_.documents != nullptr) cut_at_documents(end);
        leave_out_lead_in();
    }
    bool next(TokenChunk& chunk) override;

private:
    void load(std::int64_t end);
    template <typename T>
    void decode(std::string_view bytes);
    void cut_at_documents(std::int64_t end);
    void leave_out_lead_in();
    [[noreturn]] void refuse(std::size_t position, std::int64_t id) const;

    std::string path_;
    TokenLayout layout_;
    TokenRules rules_;
    std::int64_t from_;
    std::int64_t begin_;
    std::vector<TokenId> tokens_;
    std::vector<Cut> cuts_;  ///< ascending
    std::size_t next_cut_ = 0;
    std::size_t position_ = 0;
    std::size_t lead_in_ = 0;
    bool starts_document_ = true;
};

void TokenFileSource::refuse(std::size_t position, std::int64_t id) const {
    throw Error("{}: the token at offset {} has id {}, the vocabulary holds {}", path_,
                layout_.begin + (from_ + static_cast<std::int64_t>(position)) * token_bytes(layout_.type), id,
                rules_.vocabulary);
}

/// Appends ids and cuts at separators.
template <typename T>
void TokenFileSource::decode(std::string_view bytes) {
    const std::size_t before = tokens_.size(), count = bytes.size() / sizeof(T);
    tokens_.resize(before + count);
    const auto id_at = [&](std::size_t i) {
        T id;
        std::memcpy(&id, bytes.data() + i * sizeof(T), sizeof(T));
        return id;
    };
    bool all_known = true;
    for (std::size_t i = 0; i < count; ++i) {
        const T id = id_at(i);
        all_known &= std::cmp_greater_equal(id, 0) && std::cmp_less(id, rules_.vocabulary);
        tokens_[before + i] = static_cast<TokenId>(id);
    }
    if (all_known && !rules_.separator) return;
    for (std::size_t i = 0; i < count; ++i) {
        const auto id = static_cast<std::int64_t>(id_at(i));
        if (rules_.separator && id == *rules_.separator)
            cuts_.push_back({before + i, before + i + 1});
        else if (id < 0 || id >= rules_.vocabulary)
            refuse(before + i, id);
    }
}

void TokenFileSource::load(std::int64_t end) {
    std::ifstream file(path_, std::ios::binary);
    require(static_cast<bool>(file), "cannot open {}{}", path_, io::cause_of(errno, path_));
    const std::int64_t width = token_bytes(layout_.type);
    constexpr std::int64_t block = std::int64_t{1} << 17;
    tokens_.reserve(static_cast<std::size_t>(end - from_));
    for (std::int64_t at = from_; at < end; at += block) {
        const std::string bytes =
            read_bytes(file, path_, layout_.begin + at * width, std::min(block, end - at) * width);
        if (layout_.type == "uint16")
            decode<std::uint16_t>(bytes);
        else if (layout_.type == "int32")
            decode<std::int32_t>(bytes);
        else if (layout_.type == "uint32")
            decode<std::uint32_t>(bytes);
        else if (layout_.type == "int64")
            decode<std::int64_t>(bytes);
        else if (layout_.type == "int16")
            decode<std::int16_t>(bytes);
        else if (layout_.type == "int8")
            decode<std::int8_t>(bytes);
        else
            decode<std::uint8_t>(bytes);
    }
}

void TokenFileSource::cut_at_documents(std::int64_t end) {
    for (const std::int64_t start : rules_.documents->document_starts(from_, end))
        if (start > from_ && start < end) {
            const auto at = static_cast<std::size_t>(start - from_);
            cuts_.push_back({at, at});
        }
    std::stable_sort(cuts_.begin(), cuts_.end(), [](const Cut& a, const Cut& b) { return a.next < b.next; });
}

/// Of the tokens before the shard only those count that belong to the document at its border.
void TokenFileSource::leave_out_lead_in() {
    lead_in_ = static_cast<std::size_t>(begin_ - from_);
    starts_document_ = begin_ == 0;
    while (next_cut_ < cuts_.size() && cuts_[next_cut_].next <= position_ + lead_in_) {
        const Cut cut = cuts_[next_cut_++];
        lead_in_ -= cut.next - position_;
        position_ = cut.next;
        starts_document_ = lead_in_ == 0;
    }
}

bool TokenFileSource::next(TokenChunk& chunk) {
    while (position_ < tokens_.size()) {
        const Cut cut = next_cut_ < cuts_.size() ? cuts_[next_cut_++] : Cut{tokens_.size(), tokens_.size()};
        const auto length = static_cast<std::int64_t>(cut.end - position_),
                   lead_in = static_cast<std::int64_t>(lead_in_);
        chunk = {.tokens = std::span(tokens_).subspan(position_, cut.end - position_),
                 .starts_document = starts_document_,
                 .lead_in = lead_in};
        position_ = cut.next;
        lead_in_ = 0;
        const bool starts = std::exchange(starts_document_, true);
        counts_.bytes = (from_ + static_cast<std::int64_t>(position_) - begin_) * token_bytes(layout_.type);
        if (length == lead_in)
            continue;  // nothing of its own: two separators in a row, or one at the shard's border
        counts_.documents += starts;
        counts_.tokens += length - lead_in;
        counts_.expected_ngrams += std::max<std::int64_t>(0, length - rules_.order + 1);
        return true;
    }
    return false;
}

}  // namespace

std::int64_t token_bytes(const std::string& type) {
    return type.ends_with("int8") ? 1 : type.ends_with("16") ? 2 : type.ends_with("64") ? 8 : 4;
}

std::int64_t token_bound(const std::string& type) {
    const std::int64_t value_bits = 8 * token_bytes(type) - (type.starts_with("u") ? 0 : 1);
    return std::int64_t{1} << std::min<std::int64_t>(value_bits, 21);
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
                                         std::int64_t begin, std::int64_t end, TokenRules rules) {
    return std::make_unique<TokenFileSource>(path, layout, begin, end, std::move(rules));
}

}  // namespace eckart::text
