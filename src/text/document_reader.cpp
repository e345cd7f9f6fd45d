#include "eckart/text/document_reader.hpp"

#include "eckart/base/error.hpp"
#include "eckart/text/byte_stream.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <simdjson.h>

namespace eckart::text {

namespace {

/// Lines of a file that start in bytes [begin, end), or all lines of a compressed file.
class LineReader {
public:
    LineReader(std::string path, std::int64_t begin, std::int64_t end)
        : path_(std::move(path)),
          compressed_(is_compressed(path_)),
          bytes_(open_bytes(path_, std::max<std::int64_t>(0, begin - 1))),
          offset_(std::max<std::int64_t>(0, begin - 1)),
          end_(compressed_ ? std::numeric_limits<std::int64_t>::max() : end),
          buffer_(first_buffer) {
        std::string_view rest;
        if (begin > 0) next(rest);  // the line that holds byte begin - 1 started before this shard
        lines_ = 0;
    }
    /// The next line without its newline, valid until the next call and followed by readable padding.
    bool next(std::string_view& line) {
        if (offset_ >= end_) return false;
        std::size_t searched = 0;
        const char* newline = nullptr;
        while ((newline = find_newline(searched)) == nullptr) {
            searched = filled_ - used_;
            if (!fill()) break;
        }
        if (newline == nullptr && used_ == filled_) return false;
        const char* begin = buffer_.data() + used_;
        const std::size_t size =
            newline == nullptr ? filled_ - used_ : static_cast<std::size_t>(newline - begin);
        line = {begin, size};
        used_ += size + (newline != nullptr);
        line_begin_ = offset_;
        offset_ += static_cast<std::int64_t>(size) + 1;
        ++lines_;
        return true;
    }
    /// Bytes of the file that have been used up.
    std::int64_t position() const {
        return compressed_ ? bytes_->position() : std::min(offset_, bytes_->position());
    }
    /// "FILE:LINE"; lines before the shard are counted only now that the number is asked for.
    std::string place() const {
        if (compressed_) return fmt::format("{}:{}", path_, lines_);
        const auto file = open_bytes(path_);
        std::string block(first_buffer, '\0');
        std::int64_t before = 0;
        for (std::int64_t left = line_begin_; left > 0;) {
            const std::int64_t got =
                file->read({block.data(), std::min(block.size(), static_cast<std::size_t>(left))});
            if (got == 0) break;
            before += std::count(block.begin(), block.begin() + got, '\n');
            left -= got;
        }
        return fmt::format("{}:{}", path_, before + 1);
    }

private:
    static constexpr std::size_t first_buffer = std::size_t{1} << 18;
    const char* find_newline(std::size_t searched) const {
        const char* from = buffer_.data() + used_ + searched;
        return static_cast<const char*>(std::memchr(from, '\n', filled_ - used_ - searched));
    }
    /// Moves what is unused to the front, makes room, reads on; false at the end of the file.
    bool fill() {
        std::memmove(buffer_.data(), buffer_.data() + used_, filled_ - used_);
        filled_ -= std::exchange(used_, 0);
        if (filled_ + first_buffer / 2 + simdjson::SIMDJSON_PADDING > buffer_.size())
            buffer_.resize(2 * buffer_.size());
        const std::int64_t got =
            bytes_->read({buffer_.data() + filled_, buffer_.size() - filled_ - simdjson::SIMDJSON_PADDING});
        filled_ += static_cast<std::size_t>(got);
        return got > 0;
    }
    std::string path_;
    bool compressed_;
    std::unique_ptr<ByteStream> bytes_;
    std::int64_t offset_;  ///< of the next line, in the decompressed file
    std::int64_t end_;
    std::int64_t line_begin_ = 0;
    std::int64_t lines_ = 0;
    std::vector<char> buffer_;
    std::size_t used_ = 0;
    std::size_t filled_ = 0;
};

/// Where the first byte is that is not UTF-8.
std::size_t first_invalid(std::string_view text) {
    std::size_t good = 0, bad = text.size();
    while (good < bad) {  // the longest valid prefix; a cut sequence at its end counts as invalid
        const std::size_t middle = good + (bad - good + 1) / 2;
        std::size_t cut = middle;
        while (cut > good && cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80)
            --cut;
        if (cut == good) break;
        if (simdjson::validate_utf8(text.data(), cut))
            good = cut;
        else
            bad = cut - 1;
    }
    return good;
}

void require_utf8(std::string_view text, const std::string& place) {
    if (!simdjson::validate_utf8(text.data(), text.size()))
        throw BadInput("{} is not UTF-8 (from byte {} on)", place, first_invalid(text));
}

/// A file that is one document.
class WholeFile : public DocumentReader {
public:
    WholeFile(std::string path, OnError on_error) : path_(std::move(path)), on_error_(on_error) {}
    bool next(std::string_view& document) override {
        if (std::exchange(read_, true)) return false;
        try {
            read_all();
            require_utf8(text_, path_);
        } catch (const BadInput&) {
            if (on_error_ == OnError::fail) throw;
            return ++skipped_, false;
        }
        document = text_;
        return true;
    }

private:
    void read_all() {
        const auto bytes = open_bytes(path_);
        std::vector<char> block(std::size_t{1} << 20);
        while (const std::int64_t got = bytes->read(block))
            text_.append(block.data(), static_cast<std::size_t>(got));
        bytes_read_ = bytes->position();
    }
    std::string path_;
    OnError on_error_;
    std::string text_;
    bool read_ = false;
};

/// Documents that are lines, or lie in lines.
class LineDocuments : public DocumentReader {
public:
    LineDocuments(const std::string& path, const Shard& shard, OnError on_error)
        : lines_(path, shard.begin, shard.end), begin_(shard.begin), on_error_(on_error) {}
    bool next(std::string_view& document) override {
        for (std::string_view line; next_line(line);) {
            bytes_read_ = std::max<std::int64_t>(0, lines_.position() - begin_);
            if (line.ends_with('\r')) line.remove_suffix(1);
            try {
                if (take(line, document)) return true;
            } catch (const BadInput&) {
                if (on_error_ == OnError::fail) throw;
                ++skipped_;
            }
        }
        return false;
    }

protected:
    /// The document in `line`; false when the line holds none.
    virtual bool take(std::string_view line, std::string_view& document) = 0;
    LineReader lines_;

private:
    bool next_line(std::string_view& line) {
        try {
            return lines_.next(line);
        } catch (const BadInput&) {
            if (on_error_ == OnError::fail) throw;
            return ++skipped_, false;
        }
    }
    std::int64_t begin_;
    OnError on_error_;
};

class TextLines : public LineDocuments {
    using LineDocuments::LineDocuments;
    bool take(std::string_view line, std::string_view& document) override {
        if (!simdjson::validate_utf8(line.data(), line.size())) require_utf8(line, lines_.place());
        document = line;
        return !line.empty();
    }
};

class JsonLines : public LineDocuments {
public:
    JsonLines(const std::string& path, const Shard& shard, OnError on_error, std::string field)
        : LineDocuments(path, shard, on_error), field_(std::move(field)) {}

private:
    bool take(std::string_view line, std::string_view& document) override {
        if (line.find_first_not_of(" \t") == std::string_view::npos) return false;
        simdjson::dom::element element;
        if (const auto error = parser_.parse(line.data(), line.size(), false).get(element))
            fail(std::string("is not valid JSON (") + simdjson::error_message(error) + ")");
        simdjson::dom::object object;
        if (element.get(object) != simdjson::SUCCESS) fail("is not a JSON object");
        simdjson::dom::element value;
        if (object.at_key(field_).get(value) != simdjson::SUCCESS)
            fail(fmt::format("has no field '{}'", field_));
        if (value.get(document) != simdjson::SUCCESS)
            fail(fmt::format("has a field '{}' that is not a string", field_));
        return true;
    }
    [[noreturn]] void fail(const std::string& what) const { throw BadInput("{} {}", lines_.place(), what); }
    simdjson::dom::parser parser_;
    std::string field_;
};

}  // namespace

std::unique_ptr<DocumentReader> open_documents(const std::string& path, Format format, const Shard& shard,
                                               const CorpusOptions& options) {
    if (format == Format::json_lines)
        return std::make_unique<JsonLines>(path, shard, options.on_error, options.field);
    if (format == Format::text_lines) return std::make_unique<TextLines>(path, shard, options.on_error);
    return std::make_unique<WholeFile>(path, options.on_error);
}

}  // namespace eckart::text
