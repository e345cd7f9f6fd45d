#pragma once

#include "eckart/text/corpus.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace eckart::text {

/// Text documents of one shard of a file, in order.
class DocumentReader {
public:
    virtual ~DocumentReader() = default;
    /// The next document (valid UTF-8, until the next call); false at the end. Throws `Error` naming file and
    /// line.
    virtual bool next(std::string_view& document) = 0;
    std::int64_t bytes_read() const { return bytes_read_; }
    std::int64_t skipped() const { return skipped_; }

protected:
    std::int64_t bytes_read_ = 0;
    std::int64_t skipped_ = 0;
};

/// A reader of the documents that start in bytes [begin, end) of a text file.
std::unique_ptr<DocumentReader> open_documents(const std::string& path, Format format, const Shard& shard,
                                               const CorpusOptions& options);

}  // namespace eckart::text
