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

/// Tokens [from, end) of a file, of which those before `begin` lead in. They are held piece by piece: a
/// document that goes on in the next piece becomes several chunks.
class TokenFileSource : public TokenSource {
public:
    TokenFileSource(const std::string& path, const TokenLayout& layout, std::int64_t begin, std::int64_t end,
                    TokenRules rules)
        : path_(path),
          layout_(layout),
          rules_(std::move(rules)),
          begin_(begin),
          first_(std::max<std::int64_t>(0, begin - (rules_.order - 1))),
          at_(first_),
          end_(end),
          file_(path, std::ios::binary) {
        require(static_cast<bool>(file_), "cannot open {}{}", path_, io::cause_of(errno, path_));
        load_piece();
        leave_out_lead_in();
    }
    bool next(TokenChunk& chunk) override;

private:
    static constexpr std::int64_t piece_tokens = std::int64_t{1} << 16;

    bool load_piece();
    void decode_as_stored(std::string_view bytes);
    template <typename T>
    void decode(std::string_view bytes);
    void cut_at_documents(std::int64_t from);
    void leave_out_lead_in();
    [[noreturn]] void refuse(std::size_t position, std::int64_t id) const;

    std::string path_;
    TokenLayout layout_;
    TokenRules rules_;
    std::int64_t begin_;
    std::int64_t first_;  ///< position in the file of the piece's first token
    std::int64_t at_;     ///< of the next one to read
    std::int64_t end_;
    std::ifstream file_;
    std::vector<TokenId> tokens_;  ///< the piece, behind the last tokens of the document that it goes on with
    std::vector<Cut> cuts_;        ///< ascending
    std::size_t next_cut_ = 0;
    std::size_t position_ = 0;
    std::size_t lead_in_ = 0;
    bool starts_document_ = true;
};

void TokenFileSource::refuse(std::size_t position, std::int64_t id) const {
    throw Error("{}: the token at offset {} has id {}, the vocabulary holds {}", path_,
                layout_.begin + (first_ + static_cast<std::int64_t>(position)) * token_bytes(layout_.type),
                id, rules_.vocabulary);
}

/// Appends ids and cuts at separators. Almost all ids are neither separators nor beyond the vocabulary: a
/// stretch is looked at one by one only when it may hold such.
template <typename T>
void TokenFileSource::decode(std::string_view bytes) {
    const std::size_t before = tokens_.size(), count = bytes.size() / sizeof(T);
    tokens_.resize(before + count);
    TokenId* const tokens = tokens_.data() + before;
    const auto id_at = [from = bytes.data()](std::size_t i) {
        T id;
        std::memcpy(&id, from + i * sizeof(T), sizeof(T));
        return id;
    };
    constexpr std::size_t stretch = 64;
    for (std::size_t begin = 0; begin < count; begin += stretch) {
        const std::size_t end = std::min(begin + stretch, count);
        std::make_unsigned_t<T> most = 0;
        bool separates = false;
        const auto separator = static_cast<T>(rules_.separator.value_or(0));
        for (std::size_t i = begin; i < end; ++i) {
            const T id = id_at(i);
            most = std::max(most, static_cast<std::make_unsigned_t<T>>(id));
            separates |= id == separator;
            tokens[i] = static_cast<TokenId>(id);
        }
        const bool all_known = std::cmp_less(most, rules_.vocabulary);
        if (all_known && !(separates && rules_.separator)) continue;
        for (std::size_t i = begin; i < end; ++i) {
            const auto id = static_cast<std::int64_t>(id_at(i));
            if (rules_.separator && id == *rules_.separator)
                cuts_.push_back({before + i, before + i + 1});
            else if (id < 0 || id >= rules_.vocabulary)
                refuse(before + i, id);
        }
    }
}

void TokenFileSource::decode_as_stored(std::string_view bytes) {
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

/// Brings in the next piece, behind the last order - 1 tokens of the document that it goes on with.
bool TokenFileSource::load_piece() {
    if (at_ == end_) return false;
    tokens_.erase(tokens_.begin(), tokens_.end() - static_cast<std::ptrdiff_t>(lead_in_));
    first_ = at_ - static_cast<std::int64_t>(lead_in_);
    position_ = 0;
    cuts_.clear();
    next_cut_ = 0;
    const std::int64_t from = at_, width = token_bytes(layout_.type);
    const std::int64_t count = std::min(piece_tokens, end_ - at_);
    decode_as_stored(read_bytes(file_, path_, layout_.begin + at_ * width, count * width));
    at_ += count;
    if (rules_.documents != nullptr) cut_at_documents(from);
    return true;
}

/// A document that starts at the end of a piece is cut from the one before when the next piece is there.
void TokenFileSource::cut_at_documents(std::int64_t from) {
    for (const std::int64_t start : rules_.documents->document_starts(from, at_))
        if (start > first_ && start < at_) {
            const auto at = static_cast<std::size_t>(start - first_);
            cuts_.push_back({at, at});
        }
    std::stable_sort(cuts_.begin(), cuts_.end(), [](const Cut& a, const Cut& b) { return a.next < b.next; });
}

/// Of the tokens before the shard only those count that belong to the document at its border.
void TokenFileSource::leave_out_lead_in() {
    lead_in_ = static_cast<std::size_t>(begin_ - first_);
    starts_document_ = begin_ == 0;
    while (next_cut_ < cuts_.size() && cuts_[next_cut_].next <= position_ + lead_in_) {
        const Cut cut = cuts_[next_cut_++];
        lead_in_ -= cut.next - position_;
        position_ = cut.next;
        starts_document_ = lead_in_ == 0;
    }
}

bool TokenFileSource::next(TokenChunk& chunk) {
    while (position_ < tokens_.size() || load_piece()) {
        const bool ends = next_cut_ < cuts_.size();
        const Cut cut = ends ? cuts_[next_cut_++] : Cut{tokens_.size(), tokens_.size()};
        const auto length = static_cast<std::int64_t>(cut.end - position_),
                   lead_in = static_cast<std::int64_t>(lead_in_);
        chunk = {.tokens = std::span(tokens_).subspan(position_, cut.end - position_),
                 .starts_document = starts_document_,
                 .lead_in = lead_in};
        position_ = cut.next;
        lead_in_ = ends ? 0 : std::min(chunk.tokens.size(), static_cast<std::size_t>(rules_.order - 1));
        const bool own = length > lead_in;  // else two separators in a row, or one at a border
        const bool starts = std::exchange(starts_document_, ends);
        counts_.bytes = (first_ + static_cast<std::int64_t>(position_) - begin_) * token_bytes(layout_.type);
        if (!own) continue;
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
    constexpr std::int64_t longest_header = 10000;  // that NumPy reads itself
    require(header_bytes <= longest_header, "{} has a header of {} bytes", path, header_bytes);
    const std::int64_t header_begin = long_header ? 12 : 10;
    const std::string header = read_bytes(file, path, header_begin, header_bytes);
    std::smatch type, shape;
    static const std::regex type_pattern("'descr': *'([<|>=]?[a-z]\\d+)'"),
        shape_pattern("'shape': *\\((\\d{1,18}),\\)");
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
