#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/text/bpe.hpp"
#include "eckart/text/gpt2_splitter.hpp"
#include "eckart/text/tokenizer.hpp"
#include "eckart/text/word_cache.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <unordered_map>

#include <nlohmann/json.hpp>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

namespace eckart::text {

namespace {

using nlohmann::json;

constexpr std::string_view meta_space = "\u2581";

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t found = std::min(text.find(from, at), text.size());
        result += text.substr(at, found - at);
        if (found < text.size()) result += to;
        at = found + from.size();
    }
    return result;
}

/// Unicode's canonical composition. Text below U+0300 is composed already.
class Nfc {
public:
    Nfc() {
        UErrorCode status = U_ZERO_ERROR;
        normalizer_ = icu::Normalizer2::getNFCInstance(status);
        require(U_SUCCESS(status), "ICU has no NFC: {}", u_errorName(status));
    }
    /// `text` or its composition, which is kept in `buffer`.
    std::string_view apply(std::string_view text, std::string& buffer) const {
        constexpr unsigned char lead_of_u0300 = 0xcc;
        if (std::none_of(text.begin(), text.end(),
                         [](char c) { return static_cast<unsigned char>(c) >= lead_of_u0300; }))
            return text;
        UErrorCode status = U_ZERO_ERROR;
        const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
        if (normalizer_->isNormalizedUTF8(piece, status)) return text;
        buffer.clear();
        icu::StringByteSink<std::string> sink(&buffer);
        normalizer_->normalizeUTF8(0, piece, sink, nullptr, status);
        require(U_SUCCESS(status), "ICU could not compose a text: {}", u_errorName(status));
        return buffer;
    }

private:
    const icu::Normalizer2* normalizer_;
};

/// Tokens that are found in the text before anything else: leftmost first, the longest of those that start at
/// a place.
class AddedTokens {
public:
    void add(std::string text, TokenId id) {
        const std::size_t first = static_cast<unsigned char>(text.front()) << 8;
        if (text.size() == 1)
            std::fill_n(may_start_.begin() + static_cast<std::ptrdiff_t>(first), 256, true);
        else
            may_start_[first | static_cast<unsigned char>(text[1])] = true;
        auto& same_start = by_first_[static_cast<unsigned char>(text.front())];
        same_start.push_back({std::move(text), id});
        std::stable_sort(same_start.begin(), same_start.end(),
                         [](const Token& a, const Token& b) { return a.text.size() > b.text.size(); });
    }
    /// Calls `between(text)` for what lies between the tokens and `found(id)` for each token, in order.
    template <typename Between, typename Found>
    void split(std::string_view text, Between&& between, Found&& found) const {
        std::size_t begin = 0;
        for (std::size_t at = 0; at < text.size();) {
            const Token* const token = match(text, at);
            if (token == nullptr) {
                ++at;
                continue;
            }
            if (at > begin) between(text.substr(begin, at - begin));
            found(token->id);
            begin = at += token->text.size();
        }
        if (begin < text.size()) between(text.substr(begin));
    }

private:
    struct Token {
        std::string text;
        TokenId id;
    };
    const Token* match(std::string_view text, std::size_t at) const {
        const std::size_t first = static_cast<unsigned char>(text[at]) << 8;
        if (at + 1 < text.size() && !may_start_[first | static_cast<unsigned char>(text[at + 1])])
            return nullptr;
        for (const Token& token : by_first_[static_cast<unsigned char>(text[at])])
            if (text.substr(at, token.text.size()) == token.text) return &token;
        return nullptr;
    }
    std::array<std::vector<Token>, 256> by_first_;
    std::vector<std::uint8_t> may_start_ = std::vector<std::uint8_t>(1 << 16);  ///< by the first two bytes
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

/// A tokenizer.json, part by part. What is not known is refused by name: a part that is passed over would
/// give other ids than the reference.
class TokenizerFile {
public:
    explicit TokenizerFile(const std::string& path) : path_(path) {
        file_ = json::parse(io::read_file(path), nullptr, false);
        check(file_.is_object() && file_.contains("model"), "is not a tokenizer.json");
        for (const auto& [name, part] : file_.items())
            check(known_part(name), "has a part \"{}\" that is not known", name);
        for (const char* name : {"truncation", "padding"})
            check(part(name).is_null(), "sets {}, which is not supported", name);
        for (const char* name : {"post_processor", "decoder"}) check_harmless(name, part(name));
        check_model();
        read_vocabulary();
    }

    template <typename... Args>
    void check(bool holds, fmt::format_string<Args...> text, Args&&... args) const {
        if (!holds) throw Error("{} {}", path_, fmt::format(text, std::forward<Args>(args)...));
    }
    json part(const std::string& name) const { return file_.value(name, json()); }
    const json& model() const { return file_.at("model"); }
    std::string type_of(const std::string& name) const {
        const json value = part(name);
        return value.is_object() ? value.value("type", "") : "";
    }
    const std::unordered_map<std::string, TokenId>& vocabulary() const { return vocabulary_; }
    const std::vector<std::string>& pieces() const { return pieces_; }
    TokenId id(const std::string& piece) const {
        const auto found = vocabulary_.find(piece);
        check(found != vocabulary_.end(), "has no piece \"{}\" in its vocabulary", piece);
        return found->second;
    }

    /// Calls `rule(left, right)` with the two pieces of every merge, best first.
    void for_each_merge(const std::function<void(const std::string&, const std::string&)>& rule) const {
        for (const json& merge : model().at("merges")) {
            if (merge.is_array() && merge.size() == 2) {
                rule(merge[0].get<std::string>(), merge[1].get<std::string>());
                continue;
            }
            check(merge.is_string(), "has a merge that is neither a pair nor a text");
            const auto text = merge.get<std::string>();
            const std::size_t space = text.find(' ');
            check(space != std::string::npos, "has a merge \"{}\" that is no pair", text);
            rule(text.substr(0, space), text.substr(space + 1));
        }
    }

private:
    static bool known_part(const std::string& name) {
        constexpr std::string_view known[] = {"version",        "truncation", "padding",
                                              "added_tokens",   "normalizer", "pre_tokenizer",
                                              "post_processor", "decoder",    "model"};
        return std::find(std::begin(known), std::end(known), name) != std::end(known);
    }
    /// Decoders do not touch ids; post-processors add tokens around a text, which Eckart leaves to its own
    /// options.
    void check_harmless(const std::string& name, const json& value) const {
        if (value.is_null()) return;
        const std::string type = value.value("type", "");
        constexpr std::string_view known[] = {"ByteLevel", "TemplateProcessing", "Sequence",
                                              "Replace",   "ByteFallback",       "Fuse",
                                              "Strip",     "Metaspace"};
        check(std::find(std::begin(known), std::end(known), type) != std::end(known),
              "has a {} \"{}\" that is not known", name, type);
        for (const char* list : {"decoders", "processors"})
            for (const json& inner : value.value(list, json::array())) check_harmless(name, inner);
    }
    void check_model() const {
        const json& bpe = model();
        check(bpe.value("type", "BPE") == "BPE", "has a model \"{}\"; only BPE is supported",
              bpe.value("type", ""));
        for (const auto& [name, value] : bpe.items()) {
            if (name == "type" || name == "vocab" || name == "merges" || name == "byte_fallback" ||
                name == "fuse_unk")
                continue;
            const bool optional = name == "dropout" || name == "unk_token" ||
                                  name == "continuing_subword_prefix" || name == "end_of_word_suffix" ||
                                  name == "ignore_merges";
            check(optional, "has a setting \"{}\" of its model that is not known", name);
            check(value.is_null() || value == false || value == "" || value == 0.0,
                  "sets {} of its model, which is not supported", name);
        }
        check(bpe.contains("vocab") && bpe.at("vocab").is_object() && bpe.contains("merges") &&
                  bpe.at("merges").is_array(),
              "has a model without vocab or merges");
    }
    void read_vocabulary() {
        for (const auto& [piece, value] : model().at("vocab").items()) take_id(piece, value);
        for (const json& token : part("added_tokens")) {
            const auto content = token.at("content").get<std::string>();
            check(!content.empty(), "has an added token without text");
            for (const char* flag : {"single_word", "lstrip", "rstrip"})
                check(!token.value(flag, false), "has an added token \"{}\" with {}, which is not supported",
                      content, flag);
            const auto found = vocabulary_.find(content);
            if (found == vocabulary_.end())
                take_id(content, token.at("id"));
            else
                check(token.at("id") == found->second, "has two ids for \"{}\"", content);
        }
    }
    void take_id(const std::string& piece, const json& value) {
        constexpr std::int64_t most = std::int64_t{1} << 21;
        check(value.is_number_integer() && value >= 0 && value < most, "gives \"{}\" the id {}", piece,
              value.dump());
        check(!piece.empty(), "has an empty piece");
        const auto id = value.get<TokenId>();
        if (id >= pieces_.size()) pieces_.resize(id + 1);
        check(pieces_[id].empty(), "gives the id {} to \"{}\" and to \"{}\"", id, pieces_[id], piece);
        pieces_[id] = piece;
        vocabulary_.emplace(piece, id);
    }
    std::string path_;
    json file_;
    std::unordered_map<std::string, TokenId> vocabulary_;
    std::vector<std::string> pieces_;
};

/// What both kinds of tokenizer.json share: the vocabulary, and tokens that are found in the text itself.
class JsonTokenizer : public Tokenizer {
public:
    JsonTokenizer(const TokenizerFile& file, std::string digest, std::string kind)
        : digest_(std::move(digest)),
          kind_(std::move(kind)),
          vocabulary_(file.vocabulary()),
          pieces_(file.pieces()) {}
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

private:
    std::string digest_;
    std::string kind_;
    std::unordered_map<std::string, TokenId> vocabulary_;
    std::vector<std::string> pieces_;
};

std::vector<Merge> merges_of(const TokenizerFile& file) {
    std::vector<Merge> merges;
    file.for_each_merge([&](const std::string& left, const std::string& right) {
        merges.push_back({file.id(left), file.id(right), file.id(left + right),
                          static_cast<std::uint32_t>(merges.size())});
    });
    return merges;
}

/// GPT-2's way: text to words by a pattern, words to bytes, bytes merged.
class ByteLevelBpe : public JsonTokenizer {
public:
    ByteLevelBpe(const TokenizerFile& file, std::string digest)
        : JsonTokenizer(file, std::move(digest), "byte-level BPE"),
          normalizes_(file.type_of("normalizer") == "NFC") {
        file.check(normalizes_ || file.part("normalizer").is_null(),
                   "has a normalizer \"{}\" that is not known", file.type_of("normalizer"));
        const json splitter = file.part("pre_tokenizer");
        file.check(!splitter.value("add_prefix_space", false),
                   "sets add_prefix_space, which is not supported");
        file.check(splitter.value("use_regex", true), "unsets use_regex, which is not supported");
        file.check(!file.model().value("byte_fallback", false),
                   "has byte_fallback with a byte-level vocabulary");
        bpe_ = Bpe(alphabet(file), merges_of(file));
        for (const json& token : file.part("added_tokens")) {
            const auto text = token.at("content").get<std::string>();
            if (token.value("normalized", true) && normalizes_)
                normalized_.add(std::string(nfc_.apply(text, composed_)), token.at("id"));
            else
                (token.value("normalized", true) ? normalized_ : raw_).add(text, token.at("id"));
        }
    }
    void encode(std::string_view document, std::vector<TokenId>& tokens) override {
        TokenBatch batch(tokens);
        const auto found = [&](TokenId id) {
            *batch.room() = id;
            batch.advance(1);
        };
        raw_.split(
            document,
            [&](std::string_view section) {
                const std::string_view composed = normalizes_ ? nfc_.apply(section, composed_) : section;
                text_.assign(composed);
                text_.append(WordCache::padding, '\0');
                normalized_.split(
                    std::string_view(text_.data(), composed.size()),
                    [&](std::string_view plain) { encode_words(plain, batch); }, found);
            },
            found);
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
    void encode_words(std::string_view text, TokenBatch& batch) {
        for (std::size_t begin = 0, end; begin < text.size(); begin = end) {
            end = splitter_.word_end(text, begin);
            cache_.append(text.substr(begin, end - begin), batch,
                          [&](std::string_view word, std::vector<TokenId>& out) { bpe_.encode(word, out); });
        }
    }
    bool normalizes_;
    Nfc nfc_;
    AddedTokens raw_;         ///< found before normalising
    AddedTokens normalized_;  ///< and after
    Gpt2Splitter splitter_;
    Bpe bpe_;
    WordCache cache_;
    std::string composed_;
    std::string text_;
};

/// Llama's way: spaces become U+2581, one more goes before the text, characters merged, unknown ones as
/// bytes. Inside, the plain space stands for U+2581.
class MetaspaceBpe : public JsonTokenizer {
public:
    MetaspaceBpe(const TokenizerFile& file, std::string digest)
        : JsonTokenizer(file, std::move(digest), "BPE with Metaspace and byte fallback") {
        file.check(file.part("normalizer").is_null(),
                   "has a normalizer \"{}\" that is not known with Metaspace", file.type_of("normalizer"));
        const json metaspace = file.part("pre_tokenizer");
        file.check(metaspace.value("replacement", std::string(meta_space)) == meta_space,
                   "has a Metaspace with another replacement than U+2581");
        scheme_ = metaspace.value("prepend_scheme", "always");
        file.check(scheme_ == "first" || scheme_ == "never" || scheme_ == "always",
                   "has a prepend_scheme \"{}\" that is not known", scheme_);
        file.check(file.model().value("byte_fallback", false),
                   "has Metaspace without byte_fallback, which is not supported");
        const auto merges = merges_of(file);
        seams_ = Seams::within_characters();
        file.for_each_merge([&](const std::string& left, const std::string& right) {
            const std::string a = replace_all(left, meta_space, " "), b = replace_all(right, meta_space, " ");
            seams_.join(static_cast<unsigned char>(a.back()), static_cast<unsigned char>(b.front()));
        });
        if (metaspace.value("split", true))
            file.check(spaces_split_anyway(), "has a Metaspace that splits where its merges join");
        bpe_ = Bpe(alphabet(file), merges);
        for (const json& token : file.part("added_tokens")) added_.add(token.at("content"), token.at("id"));
    }
    void encode(std::string_view document, std::vector<TokenId>& tokens) override {
        TokenBatch batch(tokens);
        added_.split(
            document,
            [&](std::string_view section) {
                encode_section(section, section.data() == document.data(), batch);
            },
            [&](TokenId id) {
                *batch.room() = id;
                batch.advance(1);
            });
    }

private:
    static Bpe::Alphabet alphabet(const TokenizerFile& file) {
        Bpe::Alphabet result;
        for (const auto& [piece, id] : file.vocabulary()) {
            const std::string plain = replace_all(piece, meta_space, " ");
            std::size_t at = 0;
            if (const char32_t first = next_code_point(plain, at); at == plain.size())
                result.characters.emplace(first, id);
        }
        for (unsigned byte = 0; byte < 256; ++byte)
            result.bytes[byte] = file.id(fmt::format("<0x{:02X}>", byte));
        return result;
    }
    bool spaces_split_anyway() const {
        std::string pair(2, ' ');
        for (unsigned byte = 0; byte < 256; ++byte) {
            pair[0] = static_cast<char>(byte);
            if (seams_.unit_end(pair, 0) == 2) return false;
        }
        return true;
    }
    void encode_section(std::string_view section, bool first, TokenBatch& batch) {
        const bool starts_with_space = section.starts_with(' ') || section.starts_with(meta_space);
        const bool prepend = !starts_with_space && (scheme_ == "always" || (scheme_ == "first" && first));
        text_.assign(prepend ? " " : "");
        if (section.find(meta_space) == std::string_view::npos)
            text_ += section;
        else
            text_ += replace_all(section, meta_space, " ");
        const std::size_t size = text_.size();
        text_.append(WordCache::padding, '\0');
        const std::string_view text(text_.data(), size);
        for (std::size_t begin = 0, end; begin < size; begin = end) {
            end = seams_.unit_end(text, begin);
            cache_.append(text.substr(begin, end - begin), batch,
                          [&](std::string_view unit, std::vector<TokenId>& out) { bpe_.encode(unit, out); });
        }
    }
    std::string scheme_;
    AddedTokens added_;
    Seams seams_;
    Bpe bpe_;
    WordCache cache_;
    std::string text_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::string& path) {
    try {
        const TokenizerFile file(path);
        const std::string splitter = file.type_of("pre_tokenizer");
        if (splitter == "ByteLevel") return std::make_unique<ByteLevelBpe>(file, io::input_digest(path));
        file.check(splitter == "Metaspace", "has a pre_tokenizer \"{}\" that is not known", splitter);
        return std::make_unique<MetaspaceBpe>(file, io::input_digest(path));
    } catch (const json::exception& error) {
        throw Error("{} is not a tokenizer.json as it should be: {}", path, error.what());
    }
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
    return path.ends_with(".json") ? load_tokenizer_json(path) : load_sentencepiece(path);
}

}  // namespace eckart::text
