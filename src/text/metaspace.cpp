#include "eckart/text/metaspace.hpp"

#include <algorithm>

namespace eckart::text {

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

std::string plain_spaces(std::string_view text) {
    return replace_all(text, meta_space, " ");
}

MetaspaceBpe::MetaspaceBpe(Bpe::Alphabet alphabet, std::span<const Merge> merges, Seams seams)
    : seams_(std::move(seams)), bpe_(std::move(alphabet), merges) {}

void MetaspaceBpe::encode(std::string_view prefix, std::string_view text, TokenBatch& batch) {
    text_.assign(prefix);
    if (text.find(meta_space) == std::string_view::npos)
        text_ += text;
    else
        text_ += plain_spaces(text);
    const std::size_t size = text_.size();
    text_.append(WordCache::padding, '\0');
    const std::string_view plain(text_.data(), size);
    for (std::size_t begin = 0, end; begin < size; begin = end) {
        end = seams_.unit_end(plain, begin);
        cache_.append(plain.substr(begin, end - begin), batch,
                      [&](std::string_view unit, std::vector<TokenId>& out) { bpe_.encode(unit, out); });
    }
}

}  // namespace eckart::text
