#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/text/metaspace.hpp"
#include "eckart/text/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <unordered_set>

#include <nlohmann/json.hpp>
#include <sentencepiece_processor.h>
#include <simdjson.h>

namespace eckart::text {

namespace {

/// Fields of a serialised protocol buffer, one after another: the model's own format.
class ProtocolBuffer {
public:
    explicit ProtocolBuffer(std::string_view bytes) : rest_(bytes) {}
    /// Moves to the next field; false at the end.
    bool next() {
        if (rest_.empty()) return false;
        const std::uint64_t tag = varint();
        field_ = static_cast<int>(tag >> 3);
        constexpr int variable = 0, fixed64 = 1, bytes = 2, fixed32 = 5;
        const int kind = tag & 7;
        number_ = 0;
        bytes_ = {};
        if (kind == variable)
            number_ = varint();
        else if (kind == fixed64)
            bytes_ = take(8);
        else if (kind == bytes)
            bytes_ = take(varint());
        else if (kind == fixed32)
            bytes_ = take(4);
        else
            throw Error("a field of unknown kind {}", kind);
        return true;
    }
    int field() const { return field_; }
    std::uint64_t number() const { return number_; }
    std::string_view bytes() const { return bytes_; }
    float real() const {
        float value = 0;
        require(bytes_.size() == sizeof(value), "a number of {} bytes", bytes_.size());
        std::memcpy(&value, bytes_.data(), sizeof(value));
        return value;
    }

private:
    std::string_view take(std::uint64_t size) {
        require(size <= rest_.size(), "a field of {} bytes where {} are left", size, rest_.size());
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(1).front());
            value |= std::uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80) return value;
        }
        throw Error("a number without an end");
    }
    std::string_view rest_;
    int field_ = 0;
    std::uint64_t number_ = 0;
    std::string_view bytes_;
};

enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::normal;
};

/// What of a SentencePiece model decides how text is cut.
struct Model {
    std::vector<Piece> pieces;
    bool is_bpe = false;
    bool byte_fallback = false;
    bool whitespace_as_suffix = false;
    bool charsmap = false;
    bool dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
};

Piece parse_piece(std::string_view bytes) {
    Piece piece;
    for (ProtocolBuffer fields(bytes); fields.next();) {
        if (fields.field() == 1) piece.text = fields.bytes();
        if (fields.field() == 2) piece.score = fields.real();
        if (fields.field() == 3) piece.type = static_cast<PieceType>(fields.number());
    }
    return piece;
}

Model parse_model(std::string_view bytes) {
    Model model;
    const auto trainer = [&](std::string_view spec) {
        constexpr std::uint64_t bpe = 2;
        for (ProtocolBuffer fields(spec); fields.next();) {
            if (fields.field() == 3) model.is_bpe = fields.number() == bpe;
            if (fields.field() == 24) model.whitespace_as_suffix = fields.number() != 0;
            if (fields.field() == 35) model.byte_fallback = fields.number() != 0;
        }
    };
    const auto normalizer = [&](std::string_view spec) {
        for (ProtocolBuffer fields(spec); fields.next();) {
            if (fields.field() == 2) model.charsmap = !fields.bytes().empty();
            if (fields.field() == 3) model.dummy_prefix = fields.number() != 0;
            if (fields.field() == 4) model.remove_extra_whitespaces = fields.number() != 0;
            if (fields.field() == 5) model.escape_whitespaces = fields.number() != 0;
        }
    };
    for (ProtocolBuffer fields(bytes); fields.next();) {
        if (fields.field() == 1) model.pieces.push_back(parse_piece(fields.bytes()));
        if (fields.field() == 2) trainer(fields.bytes());
        if (fields.field() == 3) normalizer(fields.bytes());
    }
    return model;
}

/// True when the rules that `rules_of` reads from the pieces give what libsentencepiece gives: text is taken
/// as it is, an unknown character becomes bytes, no piece has a meaning of its own, every rule joins two
/// pieces (libsentencepiece would also join characters that are none), and the sign for a space is a piece
/// (its bytes would be used, not a space's).
bool is_plain_bpe(const Model& model) {
    std::array<std::int64_t, 7> of_type{};
    std::unordered_set<char32_t> known, used;
    for (const Piece& piece : model.pieces) {
        const std::string_view text = piece.text;
        if (text.empty() || !simdjson::validate_utf8(text.data(), text.size()) ||
            !std::isfinite(piece.score) || piece.type < PieceType::normal || piece.type > PieceType::byte)
            return false;
        ++of_type[static_cast<std::size_t>(piece.type)];
        std::size_t at = 0;
        const char32_t first = next_code_point(text, at);
        if (at == text.size() && piece.type != PieceType::normal) return false;
        if (piece.type != PieceType::normal) continue;
        if (text.find(' ') != std::string_view::npos) return false;
        if (at == text.size()) known.insert(first);
        for (at = 0; at < text.size();) used.insert(next_code_point(text, at));
    }
    std::size_t start = 0;
    const char32_t space_sign = next_code_point(meta_space, start);
    const auto count = [&](PieceType type) { return of_type[static_cast<std::size_t>(type)]; };
    return model.is_bpe && model.byte_fallback && !model.whitespace_as_suffix && !model.charsmap &&
           !model.remove_extra_whitespaces && model.escape_whitespaces && count(PieceType::byte) == 256 &&
           count(PieceType::user_defined) == 0 && count(PieceType::unused) == 0 &&
           known.size() == used.size() && known.contains(space_sign);
}

/// The byte of "<0x41>".
std::size_t byte_of(const std::string& piece) {
    require(piece.size() == 6 && piece.starts_with("<0x"), "a byte piece spelled {}", piece);
    return std::stoul(piece.substr(3, 2), nullptr, 16);
}

/// The rules of a plain BPE model: every way to cut a piece in two pieces is one; the best score goes first.
MetaspaceBpe rules_of(const Model& model) {
    Bpe::Alphabet alphabet;
    std::map<std::string, TokenId, std::less<>> ids;
    std::vector<float> scores;
    for (TokenId id = 0; id < model.pieces.size(); ++id) {
        const Piece& piece = model.pieces[id];
        if (piece.type == PieceType::byte) alphabet.bytes[byte_of(piece.text)] = id;
        if (piece.type != PieceType::normal) continue;
        ids.emplace(plain_spaces(piece.text), id);
        scores.push_back(piece.score);
    }
    std::sort(scores.begin(), scores.end(), std::greater<>());
    const auto priority = [&](float score) {
        return static_cast<std::uint32_t>(
            std::lower_bound(scores.begin(), scores.end(), score, std::greater<>()) - scores.begin());
    };
    Seams seams = Seams::within_characters();
    std::vector<Merge> merges;
    for (const auto& [text, id] : ids) {
        std::size_t at = 0;
        const char32_t first = next_code_point(text, at);
        if (at == text.size()) alphabet.characters.emplace(first, id);
        for (; at < text.size(); next_code_point(text, at)) {
            const auto left = ids.find(std::string_view(text).substr(0, at)),
                       right = ids.find(std::string_view(text).substr(at));
            if (left == ids.end() || right == ids.end()) continue;
            merges.push_back({left->second, right->second, id, priority(model.pieces[id].score)});
            seams.join(static_cast<unsigned char>(text[at - 1]), static_cast<unsigned char>(text[at]));
        }
    }
    return MetaspaceBpe(std::move(alphabet), merges, std::move(seams));
}

class SentencePieceTokenizer : public Tokenizer {
public:
    explicit SentencePieceTokenizer(const std::string& path) : digest_(io::input_digest(path)) {
        const auto status = processor_.Load(path);
        require(status.ok(), "{} is not a SentencePiece model: {}", path, status.ToString());
    }
    void encode(std::string_view document, std::vector<TokenId>& tokens) override {
        std::vector<int> ids;
        const auto status = processor_.Encode(document, &ids);
        require(status.ok(), "SentencePiece could not encode a document: {}", status.ToString());
        tokens.insert(tokens.end(), ids.begin(), ids.end());
    }
    std::int64_t vocabulary_size() const override { return processor_.GetPieceSize(); }
    std::string piece(TokenId token) const override { return processor_.IdToPiece(static_cast<int>(token)); }
    std::optional<TokenId> find(std::string_view piece) const override {
        const auto id = static_cast<TokenId>(processor_.PieceToId(piece));
        if (this->piece(id) != piece) return std::nullopt;
        return id;
    }
    nlohmann::json describe() const override {
        return {{"kind", "sentencepiece"}, {"digest", digest_}, {"vocabulary", vocabulary_size()}};
    }

private:
    sentencepiece::SentencePieceProcessor processor_;
    std::string digest_;
};

class FastSentencePiece : public SentencePieceTokenizer {
public:
    FastSentencePiece(const std::string& path, const Model& model)
        : SentencePieceTokenizer(path), prefix_(model.dummy_prefix ? " " : ""), bpe_(rules_of(model)) {}
    void encode(std::string_view document, std::vector<TokenId>& tokens) override {
        if (document.empty()) return;
        TokenBatch batch(tokens);
        bpe_.encode(prefix_, document, batch);
    }

private:
    std::string_view prefix_;
    MetaspaceBpe bpe_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece_reference(const std::string& path) {
    return std::make_unique<SentencePieceTokenizer>(path);
}

std::unique_ptr<Tokenizer> load_sentencepiece(const std::string& path) {
    auto reference = load_sentencepiece_reference(path);  // says what is wrong with a file that is no model
    const Model model = parse_model(io::read_file(path));
    if (!is_plain_bpe(model)) return reference;
    return std::make_unique<FastSentencePiece>(path, model);
}

}  // namespace eckart::text
