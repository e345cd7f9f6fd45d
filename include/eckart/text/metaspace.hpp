#pragma once

#include "eckart/text/bpe.hpp"
#include "eckart/text/word_cache.hpp"

#include <span>
#include <string>
#include <string_view>

namespace eckart::text {

/// U+2581, which stands for a space in the pieces of SentencePiece and its kin.
inline constexpr std::string_view meta_space = "\u2581";

/// `text` with `to` wherever `from` (not empty) stood.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);
/// `text` with plain spaces for U+2581: how such pieces are kept here.
std::string plain_spaces(std::string_view text);

/// Byte pair encoding of whole texts, cut where no rule joins: into words, for the vocabularies in use, since
/// none of their pieces holds a space behind a letter. A vocabulary with such pieces is cut elsewhere, or not
/// at all: what can be cut is known from the rules, never assumed.
class MetaspaceBpe {
public:
    MetaspaceBpe() = default;
    /// Rules and alphabet are over plain spaces.
    MetaspaceBpe(Bpe::Alphabet alphabet, std::span<const Merge> merges, Seams seams);
    /// Appends the tokens of `text` (valid UTF-8), whose U+2581 count as spaces, behind `prefix`.
    void encode(std::string_view prefix, std::string_view text, TokenBatch& batch);

private:
    Seams seams_;
    Bpe bpe_;
    WordCache cache_;
    std::string text_;
};

}  // namespace eckart::text
