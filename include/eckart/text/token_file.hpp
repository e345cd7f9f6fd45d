#pragma once

#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace eckart::text {

/// Where the ids of a token file lie, and their type ("uint16", "int32", "uint32", "int64").
struct TokenLayout {
    std::string type;
    std::int64_t begin = 0;
    std::int64_t count = 0;
};

std::int64_t token_bytes(const std::string& type);
/// Of a one-dimensional little-endian .npy of integers. Throws `Error` naming path and what is wrong.
TokenLayout read_npy_layout(const std::string& path);
/// Of a flat file of `type`. Throws `Error` when its length is not a multiple of the type's.
TokenLayout flat_layout(const std::string& path, const std::string& type);

/// A source of tokens [begin, end) of a token file, cut at separators. Ids are checked against the
/// vocabulary.
std::unique_ptr<TokenSource> open_tokens(const std::string& path, const TokenLayout& layout,
                                         std::int64_t begin, std::int64_t end, int order,
                                         std::optional<std::int64_t> separator, std::int64_t vocabulary);

}  // namespace eckart::text
