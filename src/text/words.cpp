#include "eckart/text/words.hpp"

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>
#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>

namespace eckart::text {

namespace {

/// What the word boundary rules know of an ASCII character.
enum class Kind : std::uint8_t {
    other,
    letter,
    digit,
    connector,
    between_letters,
    between_digits,
    between_both
};

using AsciiKinds = std::array<Kind, 128>;

constexpr bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// ICU's word iterator, and what it makes of ASCII: kinds are asked from it, not assumed, because its root
/// rules have changed between versions (ICU 72 takes '@' for a letter).
class IcuWords {
public:
    IcuWords() {
        UErrorCode status = U_ZERO_ERROR;
        words_.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
        require(U_SUCCESS(status), "ICU has no word boundaries: {}", u_errorName(status));
        for (std::size_t c = 0; c < kinds_.size(); ++c) kinds_[c] = ask(static_cast<char>(c));
    }
    const AsciiKinds& kinds() const { return kinds_; }
    /// Byte offsets at which words end. Requires valid UTF-8.
    std::vector<std::int32_t> ends(std::string_view text) const {
        UErrorCode status = U_ZERO_ERROR;
        UText bytes = UTEXT_INITIALIZER;
        utext_openUTF8(&bytes, text.data(), static_cast<std::int64_t>(text.size()), &status);
        words_->setText(&bytes, status);
        require(U_SUCCESS(status), "ICU could not cut a text to words: {}", u_errorName(status));
        std::vector<std::int32_t> found;
        words_->first();
        for (std::int32_t end = words_->next(); end != icu::BreakIterator::DONE; end = words_->next())
            found.push_back(end);
        utext_close(&bytes);
        return found;
    }

private:
    Kind ask(char c) const {
        const auto is_word = [&](std::initializer_list<char> letters) {
            return ends(std::string(letters)).size() == 1;
        };
        if (is_word({c, 'a'}) && is_word({'a', c}))
            return is_word({c, ',', '5'})    ? Kind::digit
                   : is_word({c, '\'', 'a'}) ? Kind::letter
                                             : Kind::connector;
        const bool letters = is_word({'a', c, 'a'}), digits = is_word({'5', c, '5'});
        return letters && digits ? Kind::between_both
               : letters         ? Kind::between_letters
               : digits          ? Kind::between_digits
                                 : Kind::other;
    }
    std::unique_ptr<icu::BreakIterator> words_;
    AsciiKinds kinds_{};
};

/// The word boundaries of ASCII text: rules WB5 to WB13b of Annex 29.
class AsciiWords {
public:
    explicit AsciiWords(const AsciiKinds& kinds) : kinds_(kinds) {}
    void segment(std::string_view piece, const std::function<void(std::string_view)>& word) const {
        std::size_t begin = 0;
        for (std::size_t at = 1; at <= piece.size(); ++at) {
            if (at < piece.size() && joined(piece, at)) continue;
            word(piece.substr(begin, at - begin));
            begin = at;
        }
    }

private:
    Kind kind(std::string_view text, std::size_t at) const {
        return at < text.size() ? kinds_[static_cast<unsigned char>(text[at])] : Kind::other;
    }
    /// True when there is no boundary between text[at - 1] and text[at].
    bool joined(std::string_view text, std::size_t at) const {
        const Kind left = kind(text, at - 1), right = kind(text, at);
        const auto in_word = [](Kind k) {
            return k == Kind::letter || k == Kind::digit || k == Kind::connector;
        };
        const auto between = [](Kind middle, Kind sides) {
            return middle == Kind::between_both ||
                   middle == (sides == Kind::letter ? Kind::between_letters : Kind::between_digits);
        };
        if (in_word(left) && in_word(right)) return true;
        if ((left == Kind::letter || left == Kind::digit) && between(right, left))
            return kind(text, at + 1) == left;
        if ((right == Kind::letter || right == Kind::digit) && between(left, right))
            return at >= 2 && kind(text, at - 2) == right;
        return false;
    }
    const AsciiKinds& kinds_;
};

bool starts_with_space(std::string_view text) {
    const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
    return u_isUWhiteSpace(icu::UnicodeString::fromUTF8(piece).char32At(0)) != 0;
}

}  // namespace

struct WordSegmenter::Iterator : IcuWords {};

WordSegmenter::WordSegmenter() : iterator_(std::make_unique<Iterator>()) {}
WordSegmenter::~WordSegmenter() = default;
WordSegmenter::WordSegmenter(WordSegmenter&&) noexcept = default;

void WordSegmenter::segment(std::string_view text, const std::function<void(std::string_view)>& word) const {
    std::size_t at = 0;
    while (at < text.size()) {
        while (at < text.size() && is_space(text[at])) ++at;
        std::size_t end = at;
        while (end < text.size() && !is_space(text[end])) ++end;
        if (end > at) segment_piece(text.substr(at, end - at), word);
        at = end;
    }
}

void WordSegmenter::segment_piece(std::string_view piece,
                                  const std::function<void(std::string_view)>& word) const {
    if (is_ascii(piece)) return AsciiWords(iterator_->kinds()).segment(piece, word);
    std::int32_t begin = 0;
    for (const std::int32_t end : iterator_->ends(piece)) {
        const std::string_view part =
            piece.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        if (!starts_with_space(part)) word(part);
        begin = end;
    }
}

void count_words(const WordSegmenter& segmenter, std::string_view document, WordCounts& counts) {
    segmenter.segment(document, [&](std::string_view word) {
        const auto found = counts.find(word);
        if (found != counts.end())
            ++found->second;
        else
            counts.emplace(word, 1);
    });
}

std::vector<std::string> most_frequent(const WordCounts& counts, std::int64_t size) {
    std::vector<const WordCounts::value_type*> order;
    for (const auto& entry : counts) order.push_back(&entry);
    const auto kept = std::min(order.size(), static_cast<std::size_t>(size));
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                      [](const auto* a, const auto* b) {
                          return a->second != b->second ? a->second > b->second : a->first < b->first;
                      });
    std::vector<std::string> words;
    for (std::size_t i = 0; i < kept; ++i) words.push_back(order[i]->first);
    return words;
}

namespace {

class WordTokenizer : public Tokenizer {
public:
    explicit WordTokenizer(std::vector<std::string> words) : words_(std::move(words)) {
        for (std::size_t i = 0; i < words_.size(); ++i)
            ids_.emplace(words_[i], static_cast<std::int64_t>(i) + 1);
    }
    void encode(std::string_view document, std::vector<TokenId>& tokens) override {
        segmenter_.segment(document, [&](std::string_view word) {
            const auto found = ids_.find(word);
            tokens.push_back(found == ids_.end() ? 0 : static_cast<TokenId>(found->second));
        });
    }
    std::int64_t vocabulary_size() const override { return static_cast<std::int64_t>(words_.size()) + 1; }
    std::string piece(TokenId token) const override { return token == 0 ? "<unk>" : words_.at(token - 1); }
    std::optional<TokenId> find(std::string_view piece) const override {
        const auto found = ids_.find(piece);
        if (found == ids_.end()) return std::nullopt;
        return static_cast<TokenId>(found->second);
    }
    nlohmann::json describe() const override {
        Hasher hasher;
        for (const std::string& word : words_) hasher.add(word).add(std::string_view("\n"));
        return {{"kind", "words"},
                {"rule", "Unicode Standard Annex 29"},
                {"vocabulary", vocabulary_size()},
                {"unknown", "<unk>"},
                {"digest", hasher.digest().hex()}};
    }

private:
    WordSegmenter segmenter_;
    std::vector<std::string> words_;
    WordCounts ids_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_word_tokenizer(std::vector<std::string> words) {
    return std::make_unique<WordTokenizer>(std::move(words));
}

}  // namespace eckart::text
