#pragma once

#include "eckart/text/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace eckart::text {

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

}  // namespace eckart::text
