#pragma once

#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace eckart::text {

class MegatronIndex;

/// Where the ids of a token file lie, and their type ("uint16", "int32", "uint32", "int64", ...).
struct TokenLayout {
    std::string type;
    std::int64_t begin = 0;
    std::int64_t count = 0;
};

std::int64_t token_bytes(const std::string& type);
/// The ids a type can hold, as a bound; at most 2^21 so that ids pack into n-grams.
std::int64_t token_bound(const std::string& type);
/// Of a one-dimensional little-endian .npy of integers. Throws `Error` naming path and what is wrong.
TokenLayout read_npy_layout(const std::string& path);
/// Of a flat file of `type`. Throws `Error` when its length is not a multiple of the type's.
TokenLayout flat_layout(const std::string& path, const std::string& type);

/// What the tokens of a file mean.
struct TokenRules {
    int order = 5;
    std::optional<std::int64_t> separator;
    std::int64_t vocabulary = 0;
    std::shared_ptr<const MegatronIndex> documents;  ///< or null: separators alone end documents
};

/// A source of tokens [begin, end) of a token file, cut where documents end. Ids are checked against the
/// vocabulary.
std::unique_ptr<TokenSource> open_tokens(const std::string& path, const TokenLayout& layout,
                                         std::int64_t begin, std::int64_t end, TokenRules rules);

}  // namespace eckart::text
