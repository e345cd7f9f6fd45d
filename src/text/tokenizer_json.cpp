#include "added_tokens.hpp"
#include "eckart/base/error.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/text/gpt2_splitter.hpp"
#include "eckart/text/metaspace.hpp"
#include "eckart/text/tokenizer.hpp"
#include "eckart/text/word_cache.hpp"
#include "tokenizer_file.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>

#include <nlohmann/json.hpp>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

namespace eckart::text {

namespace {

using nlohmann::json;

/// Unicode's canonical composition as Hugging Face's tokenizers does it, with the tables of Unicode 9: marks
/// that came later stay where they are. Text below U+0300 is composed already.
class Nfc {
public:
    Nfc() : normalizer_(&instance()), known_(unicode_9()), of_unicode_9_(*normalizer_, known_) {}

    /// `text` or its composition, which is kept in `buffer`.
    std::string_view apply(std::string_view text, std::string& buffer) const {
        constexpr unsigned char lead_of_u0300 = 0xcc;
        if (std::none_of(text.begin(), text.end(),
                         [](char c) { return static_cast<unsigned char>(c) >= lead_of_u0300; }))
            return text;
        require(text.size() <= std::numeric_limits<std::int32_t>::max(),
                "a document of {} bytes is too long to compose; is it one document?", text.size());
        UErrorCode status = U_ZERO_ERROR;
        const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
        if (normalizer_->isNormalizedUTF8(piece, status)) return text;
        buffer.clear();
        icu::StringByteSink<std::string> sink(&buffer);
        of_unicode_9_.normalizeUTF8(0, piece, sink, nullptr, status);
        require(U_SUCCESS(status), "ICU could not compose a text: {}", u_errorName(status));
        return buffer;
    }

private:
    static const icu::Normalizer2& instance() {
        UErrorCode status = U_ZERO_ERROR;
        const icu::Normalizer2* const nfc = icu::Normalizer2::getNFCInstance(status);
        require(U_SUCCESS(status), "ICU has no NFC: {}", u_errorName(status));
        return *nfc;
    }
    static icu::UnicodeSet unicode_9() {
        UErrorCode status = U_ZERO_ERROR;
        icu::UnicodeSet set(u"[:age=9.0:]", status);
        require(U_SUCCESS(status), "ICU does not know Unicode 9: {}", u_errorName(status));
        set.freeze();
        return set;
    }
    const icu::Normalizer2* normalizer_;
    icu::UnicodeSet known_;
    icu::FilteredNormalizer2 of_unicode_9_;
};

/// GPT-2's spelling of bytes in a vocabulary: printable ones as themselves, the others as U+0100 and up.
std::array<char32_t, 256> byte_spelling() {
    std::array<char32_t, 256> spelling{};
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
        spelling[byte] = printable ? byte : next++;
    }
    return spelling;
}

/// The bytes that a piece of a byte-level vocabulary stands for; nothing when it is not spelled in bytes.
std::optional<std::string> spelled_bytes(std::string_view piece) {
    static const auto bytes = [] {
        std::unordered_map<char32_t, char> result;
        const auto spelling = byte_spelling();
        for (unsigned byte = 0; byte < 256; ++byte) result.emplace(spelling[byte], static_cast<char>(byte));
        return result;
    }();
    std::string result;
    for (std::size_t at = 0; at < piece.size();) {
        const auto found = bytes.find(next_code_point(piece, at));
        if (found == bytes.end()) return std::nullopt;
        result += found->second;
    }
    return result;
}

/// True for bytes that occur in UTF-8.
bool occurs_in_utf8(unsigned byte) {
    return byte != 0xc0 && byte != 0xc1 && byte < 0xf5;
}

/// What all kinds of tokenizer.json share: the vocabulary, and tokens that are found in the text itself, some
/// of them before it is normalised and some after.
class JsonTokenizer : public Tokenizer {
public:
    JsonTokenizer(const TokenizerFile& file, std::string digest, std::string kind)
        : digest_(std::move(digest)),
          kind_(std::move(kind)),
          vocabulary_(file.vocabulary()),
          pieces_(file.pieces()) {}
    void encode(std::string_view document, std::vector<TokenId>& tokens) final {
        TokenBatch batch(tokens);
        const auto found = [&](TokenId id) {
            *batch.room() = id;
            batch.advance(1);
        };
        raw_.split(
            document,
            [&](std::string_view section) {
                const bool first = section.data() == document.data();
                const std::string_view text = normalize(section);
                normalized_.split(
                    text,
                    [&](std::string_view plain) {
                        encode_plain(plain, first && plain.data() == text.data(), batch);
                    },
                    found);
            },
            found);
    }
    std::int64_t vocabulary_size() const override { return std::ssize(pieces_); }
    std::string piece(TokenId token) const override { return pieces_.at(token); }
    std::optional<TokenId> find(std::string_view piece) const override {
        const auto found = vocabulary_.find(std::string(piece));
        if (found == vocabulary_.end()) return std::nullopt;
        return found->second;
    }
    json describe() const override {
        return {{"kind", kind_}, {"digest", digest_}, {"vocabulary", vocabulary_size()}};
    }

protected:
    /// A section of a document as the rules see it, valid until the next call.
    virtual std::string_view normalize(std::string_view section) = 0;
    /// Appends the tokens of what lies between added tokens; `first` at the beginning of a document.
    virtual void encode_plain(std::string_view text, bool first, TokenBatch& batch) = 0;

    void read_added_tokens(const TokenizerFile& file) {
        for (const json& token : file.part("added_tokens")) {
            const auto text = token.at("content").get<std::string>();
            if (token.value("normalized", true))
                normalized_.add(std::string(normalize(text)), token.at("id"));
            else
                raw_.add(text, token.at("id"));
        }
    }

private:
    std::string digest_;
    std::string kind_;
    std::unordered_map<std::string, TokenId> vocabulary_;
    std::vector<std::string> pieces_;
    AddedTokens raw_;
    AddedTokens normalized_;
};

/// GPT-2's way: text to words by a pattern, words to bytes, bytes merged.
class ByteLevelBpe : public JsonTokenizer {
public:
    ByteLevelBpe(const TokenizerFile& file, std::string digest)
        : JsonTokenizer(file, std::move(digest), "byte-level BPE"),
          composes_(file.type_of("normalizer") == "NFC"),
          bpe_(alphabet(file), file.merges()) {
        file.check(composes_ || file.part("normalizer").is_null(),
                   "has a normalizer \"{}\" that is not known", file.type_of("normalizer"));
        file.check_settings("normalizer", {"type"});
        file.check_settings("pre_tokenizer", {"type", "add_prefix_space", "trim_offsets", "use_regex"});
        const json splitter = file.part("pre_tokenizer");
        file.check(!splitter.value("add_prefix_space", false),
                   "sets add_prefix_space, which is not supported");
        file.check(splitter.value("use_regex", true), "unsets use_regex, which is not supported");
        file.check(!file.model().value("byte_fallback", false),
                   "has byte_fallback with a byte-level vocabulary");
        read_added_tokens(file);
    }

private:
    static Bpe::Alphabet alphabet(const TokenizerFile& file) {
        Bpe::Alphabet result;
        for (const auto& [piece, id] : file.vocabulary())
            if (const auto bytes = spelled_bytes(piece); bytes && bytes->size() == 1)
                result.bytes[static_cast<unsigned char>(bytes->front())] = id;
        for (unsigned byte = 0; byte < 256; ++byte)
            file.check(!occurs_in_utf8(byte) || spelled_bytes(file.pieces()[result.bytes[byte]]) ==
                                                    std::string(1, static_cast<char>(byte)),
                       "has no piece for the byte {:#x}", byte);
        return result;
    }
    std::string_view normalize(std::string_view section) override {
        const std::string_view composed = composes_ ? nfc_.apply(section, composed_) : section;
        text_.assign(composed);
        text_.append(WordCache::padding, '\0');
        return {text_.data(), composed.size()};
    }
    void encode_plain(std::string_view text, bool, TokenBatch& batch) override {
        for (std::size_t begin = 0, end; begin < text.size(); begin = end) {
            end = splitter_.word_end(text, begin);
            cache_.append(text.substr(begin, end - begin), batch,
                          [&](std::string_view word, std::vector<TokenId>& out) { bpe_.encode(word, out); });
        }
    }
    bool composes_;
    Nfc nfc_;
    Gpt2Splitter splitter_;
    Bpe bpe_;
    WordCache cache_;
    std::string composed_;
    std::string text_;
};

/// Llama's way: spaces become U+2581, one more goes before the text, characters are merged, unknown ones as
/// bytes.
class ByteFallbackBpe : public JsonTokenizer {
public:
    ByteFallbackBpe(const TokenizerFile& file, std::string digest)
        : JsonTokenizer(file, std::move(digest), "BPE with Metaspace and byte fallback") {
        file.check(file.model().value("byte_fallback", false),
                   "has Metaspace without byte_fallback, which is not supported");
        Seams seams = Seams::within_characters();
        file.for_each_merge([&](const std::string& left, const std::string& right) {
            file.check(!left.empty() && !right.empty(), "has a merge of \"{}\" with nothing", left + right);
            seams.join(static_cast<unsigned char>(plain_spaces(left).back()),
                       static_cast<unsigned char>(plain_spaces(right).front()));
        });
        if (file.type_of("normalizer") == "Sequence")
            read_normalizer(file);
        else
            read_pre_tokenizer(file, seams);
        bpe_ = MetaspaceBpe(alphabet(file), file.merges(), std::move(seams));
        read_added_tokens(file);
    }

private:
    /// Where the space before the text goes.
    enum class Prefix {
        section,    ///< before every section, by the normalizer
        always,     ///< before all text between added tokens that has no space of its own
        beginning,  ///< the same at the beginning of a document only
        never
    };
    static Bpe::Alphabet alphabet(const TokenizerFile& file) {
        Bpe::Alphabet result;
        for (const auto& [piece, id] : file.vocabulary()) {
            const std::string plain = plain_spaces(piece);
            std::size_t at = 0;
            if (const char32_t first = next_code_point(plain, at); at == plain.size())
                result.characters.emplace(first, id);
        }
        for (unsigned byte = 0; byte < 256; ++byte)
            result.bytes[byte] = file.id(fmt::format("<0x{:02X}>", byte));
        return result;
    }
    /// The older form, in which the normalizer prepends and replaces.
    void read_normalizer(const TokenizerFile& file) {
        const json wanted = {
            {"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", meta_space}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", meta_space}}}}};
        file.check(
            file.part("normalizer") == wanted,
            "has a normalizer that is not known (but for \"Prepend\" and \"Replace\" as Llama has them)");
        file.check(file.part("pre_tokenizer").is_null(), "has a pre_tokenizer \"{}\" behind its normalizer",
                   file.type_of("pre_tokenizer"));
        prefix_ = Prefix::section;
    }
    void read_pre_tokenizer(const TokenizerFile& file, const Seams& seams) {
        file.check(file.part("normalizer").is_null(),
                   "has a normalizer \"{}\" that is not known with Metaspace", file.type_of("normalizer"));
        file.check_settings("pre_tokenizer", {"type", "replacement", "prepend_scheme", "split",
                                              "add_prefix_space", "str_rep"});
        const json metaspace = file.part("pre_tokenizer");
        file.check(metaspace.value("replacement", std::string(meta_space)) == meta_space,
                   "has a Metaspace with another replacement than U+2581");
        const bool prepends = metaspace.value("add_prefix_space", true);  // older files have this one
        const std::string scheme = metaspace.value("prepend_scheme", prepends ? "always" : "never");
        file.check(scheme == "first" || scheme == "never" || scheme == "always",
                   "has a prepend_scheme \"{}\" that is not known", scheme);
        prefix_ = scheme == "always" ? Prefix::always : scheme == "first" ? Prefix::beginning : Prefix::never;
        file.check(!metaspace.value("split", true) || spaces_split_anyway(seams),
                   "has a Metaspace that splits where its merges join");
    }
    static bool spaces_split_anyway(const Seams& seams) {
        std::string pair(2, ' ');
        for (unsigned byte = 0; byte < 256; ++byte) {
            pair[0] = static_cast<char>(byte);
            if (seams.unit_end(pair, 0) == 2) return false;
        }
        return true;
    }
    std::string_view normalize(std::string_view section) override {
        if (prefix_ != Prefix::section) return section;
        text_ = std::string(meta_space) + replace_all(section, " ", meta_space);
        return text_;
    }
    void encode_plain(std::string_view text, bool first, TokenBatch& batch) override {
        const bool has_space = text.starts_with(' ') || text.starts_with(meta_space);
        const bool wants_space = prefix_ == Prefix::always || (prefix_ == Prefix::beginning && first);
        bpe_.encode(wants_space && !has_space ? " " : "", text, batch);
    }
    Prefix prefix_ = Prefix::never;
    MetaspaceBpe bpe_;
    std::string text_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::string& path) {
    try {
        const TokenizerFile file(path);
        const std::string splitter = file.type_of("pre_tokenizer");
        if (splitter == "ByteLevel") return std::make_unique<ByteLevelBpe>(file, io::input_digest(path));
        file.check(splitter == "Metaspace" || file.type_of("normalizer") == "Sequence",
                   "has a pre_tokenizer \"{}\" that is not known", splitter);
        return std::make_unique<ByteFallbackBpe>(file, io::input_digest(path));
    } catch (const json::exception& error) {
        throw Error("{} is not a tokenizer.json as it should be: {}", path, error.what());
    }
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
    return path.ends_with(".json") ? load_tokenizer_json(path) : load_sentencepiece(path);
}

}  // namespace eckart::text
