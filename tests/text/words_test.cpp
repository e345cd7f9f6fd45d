#include "eckart/text/words.hpp"

#include <memory>
#include <random>

#include <gtest/gtest.h>
#include <unicode/brkiter.h>
#include <unicode/unistr.h>

namespace eckart::text {
namespace {

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    static const WordSegmenter segmenter;
    segmenter.segment(text, [&](std::string_view word) { words.emplace_back(word); });
    return words;
}

TEST(Words, AreCutAsPeopleExpect) {
    EXPECT_EQ(words_of("It's 3.14, they said\n(twice)."),
              (std::vector<std::string>{"It's", "3.14", ",", "they", "said", "(", "twice", ")", "."}));
    EXPECT_EQ(words_of("caf\u00e9\u2014na\u00efve\u00a0x"),
              (std::vector<std::string>{"caf\u00e9", "\u2014", "na\u00efve", "x"}));
    EXPECT_EQ(words_of("e\u0301a \U0001F469\u200D\U0001F680!"),
              (std::vector<std::string>{"e\u0301a", "\U0001F469\u200D\U0001F680", "!"}));
    EXPECT_TRUE(words_of(" \t\r\n ").empty());
    EXPECT_TRUE(words_of("").empty());
}

/// The rules written out for ASCII are ICU's: on every text of length 3 over one character of each kind, and
/// on random longer ones.
TEST(Words, TheAsciiPathIsIcus) {
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<icu::BreakIterator> words(
        icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
    const auto by_icu = [&](const std::string& text) {
        const icu::UnicodeString wide = icu::UnicodeString::fromUTF8(text);
        words->setText(wide);
        std::vector<std::string> parts;
        for (int begin = words->first(), end = words->next(); end != icu::BreakIterator::DONE;
             begin = end, end = words->next())
            parts.push_back(
                text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
        return parts;
    };
    for (char a = '!'; a <= '~'; ++a)
        for (char b = '!'; b <= '~'; ++b)
            for (const char c : {'x', '5', '_', '.', '\'', ',', ';', ':', '-', '"', '\\'}) {
                const std::string text{a, b, c};
                ASSERT_EQ(words_of(text), by_icu(text)) << text;
            }
    std::mt19937 random(1);
    const std::string alphabet = "ab19_.',;:-\"@\x01\x7f";
    for (int i = 0; i < 20000; ++i) {
        std::string text;
        for (int k = 0; k < 12; ++k) text += alphabet[random() % alphabet.size()];
        ASSERT_EQ(words_of(text), by_icu(text)) << text;
    }
}

}  // namespace
}  // namespace eckart::text
