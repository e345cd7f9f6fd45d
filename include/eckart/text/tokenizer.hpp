#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace eckart::text {

using TokenId = std::uint32_t;

/// Text to token ids. What it gives for a document never changes, but it keeps scratch memory and may keep a
/// cache: one thread at a time.
class Tokenizer {
public:
    virtual ~Tokenizer() = default;
    /// Appends the ids of a whole document (valid UTF-8) to `tokens`.
    virtual void encode(std::string_view document, std::vector<TokenId>& tokens) = 0;
    /// Every id is below it.
    virtual std::int64_t vocabulary_size() const = 0;
    /// The token as text, for people.
    virtual std::string piece(TokenId token) const = 0;
    /// The token that `piece` spells, also when no text gives it (`</s>`).
    virtual std::optional<TokenId> find(std::string_view piece) const = 0;
    /// Kind, file, digest, vocabulary: what a recipe and a summary say of it.
    virtual nlohmann::json describe() const = 0;
};

/// A SentencePiece `.model`. BPE models whose text is taken as it is (as Llama's) are encoded here, word by
/// word with a cache; all others by libsentencepiece. Throws `Error` naming the path.
std::unique_ptr<Tokenizer> load_sentencepiece(const std::string& path);

/// A SentencePiece `.model`, always encoded by libsentencepiece: the reference of `load_sentencepiece`.
std::unique_ptr<Tokenizer> load_sentencepiece_reference(const std::string& path);

/// A Hugging Face `tokenizer.json`: byte-level BPE (GPT-2, GPT-NeoX) or BPE with Metaspace and byte fallback
/// (Llama-2). Throws `Error` naming the path and the component that is not known.
std::unique_ptr<Tokenizer> load_tokenizer_json(const std::string& path);

/// By the file's extension: `.json` or else SentencePiece.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

}  // namespace eckart::text
