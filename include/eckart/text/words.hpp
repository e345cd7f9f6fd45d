#pragma once

#include "eckart/text/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// Text without a tokenizer is cut to words: at ASCII white space first, then by the word boundaries of
/// Unicode Standard Annex 29 (ICU, root locale). What lies between words other than white space (punctuation,
/// symbols) is a word too. The most frequent words make the vocabulary; id 0, `<unk>`, stands for all others.
namespace eckart::text {

/// Cuts valid UTF-8 into words.
class WordSegmenter {
public:
    WordSegmenter();
    ~WordSegmenter();
    WordSegmenter(WordSegmenter&&) noexcept;

    /// Calls `word` for every word in order; the views lie in `text`.
    void segment(std::string_view text, const std::function<void(std::string_view)>& word) const;

private:
    struct Iterator;
    void segment_piece(std::string_view piece, const std::function<void(std::string_view)>& word) const;
    std::unique_ptr<Iterator> iterator_;
};

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using WordCounts = std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>>;

/// Adds a document's words to the counts.
void count_words(const WordSegmenter& segmenter, std::string_view document, WordCounts& counts);

/// The `size` most frequent words (ties by bytes), most frequent first.
std::vector<std::string> most_frequent(const WordCounts& counts, std::int64_t size);

/// A tokenizer over `words`: id 0 is `<unk>`, id i + 1 is words[i].
std::unique_ptr<Tokenizer> make_word_tokenizer(std::vector<std::string> words);

}  // namespace eckart::text
