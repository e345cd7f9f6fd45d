#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace eckart::text {

/// The .idx of a Megatron token file: "MMIDIDX", version, type of the ids, then for every sequence its length
/// and its place in the .bin, then the documents as ranges of sequences. The file is mapped, not read: a rank
/// touches what its shards need.
class MegatronIndex {
public:
    /// Throws `Error` naming the file when it is not such an index or does not fit its .bin of `bin_bytes`.
    MegatronIndex(const std::string& path, const std::string& bin_path, std::int64_t bin_bytes);

    const std::string& token_type() const { return type_; }
    std::int64_t tokens() const { return tokens_; }
    /// Tokens of the .bin at which documents start, from the last one at or before `begin` to the first one
    /// at or after `end`; checks the sequences in between. Throws `Error` naming the sequence that does not
    /// fit.
    std::vector<std::int64_t> document_starts(std::int64_t begin, std::int64_t end) const;

private:
    std::int64_t sequence_start(std::int64_t sequence) const;
    std::int64_t sequence_end(std::int64_t sequence) const;
    std::int64_t document_start(std::int64_t document) const;
    void check_sequences(std::int64_t first, std::int64_t last) const;

    std::string path_;
    std::string type_;
    std::int64_t width_ = 0;
    std::int64_t tokens_ = 0;
    std::shared_ptr<const std::byte> bytes_;
    std::int64_t sequences_ = 0;
    std::int64_t documents_ = 0;
    const std::byte* sizes_ = nullptr;     ///< int32 each
    const std::byte* pointers_ = nullptr;  ///< int64 each
    const std::byte* borders_ = nullptr;   ///< int64 each, one more than documents
};

/// DIR/NAME.idx of DIR/NAME.bin.
std::string index_path(const std::string& bin_path);

/// An index for ids of `type` ("uint16" or "int32") whose documents have these lengths, a sequence each.
void write_megatron_index(const std::string& path, const std::string& type,
                          std::span<const std::int32_t> lengths);

}  // namespace eckart::text
