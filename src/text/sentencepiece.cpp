#include "eckart/base/error.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/text/tokenizer.hpp"

#include <nlohmann/json.hpp>
#include <sentencepiece_processor.h>

namespace eckart::text {

namespace {

class SentencePieceTokenizer : public Tokenizer {
public:
    explicit SentencePieceTokenizer(const std::string& path) : digest_(io::input_digest(path)) {
        const auto status = processor_.Load(path);
        require(status.ok(), "{} is not a SentencePiece model: {}", path, status.ToString());
    }
    void encode(std::string_view document, std::vector<TokenId>& tokens) const override {
        std::vector<int> ids;
        const auto status = processor_.Encode(document, &ids);
        require(status.ok(), "SentencePiece could not encode a document: {}", status.ToString());
        tokens.insert(tokens.end(), ids.begin(), ids.end());
    }
    std::int64_t vocabulary_size() const override { return processor_.GetPieceSize(); }
    std::string piece(TokenId token) const override { return processor_.IdToPiece(static_cast<int>(token)); }
    nlohmann::json describe() const override {
        return {{"kind", "sentencepiece"},
                {"digest", digest_},
                {"vocabulary", vocabulary_size()},
                {"added_tokens", "none"}};
    }

private:
    sentencepiece::SentencePieceProcessor processor_;
    std::string digest_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(const std::string& path) {
    return std::make_unique<SentencePieceTokenizer>(path);
}

}  // namespace eckart::text
