#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace eckart::text {

using TokenId = std::uint32_t;

/// Text to token ids. Immutable once made; `encode` may be called from several threads on several encoders.
class Tokenizer {
public:
    virtual ~Tokenizer() = default;
    /// Appends the ids of a whole document (valid UTF-8) to `tokens`.
    virtual void encode(std::string_view document, std::vector<TokenId>& tokens) const = 0;
    /// Every id is below it.
    virtual std::int64_t vocabulary_size() const = 0;
    /// The token as text, for people.
    virtual std::string piece(TokenId token) const = 0;
    /// Kind, file, digest, vocabulary: what a recipe and a summary say of it.
    virtual nlohmann::json describe() const = 0;
};

/// A SentencePiece `.model` through libsentencepiece. Throws `Error` naming the path.
std::unique_ptr<Tokenizer> load_sentencepiece(const std::string& path);

}  // namespace eckart::text
