#include "eckart/text/document_reader.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>

#include <simdjson.h>

namespace eckart::text {

namespace {

/// Lines that start in bytes [begin, end) of a file.
class LineReader {
public:
    LineReader(std::string path, std::int64_t begin, std::int64_t end)
        : path_(std::move(path)), file_(path_, std::ios::binary), position_(begin), end_(end) {
        require(static_cast<bool>(file_), "cannot open {}{}", path_, io::cause_of(errno, path_));
        if (begin > 0) {  // the line that holds byte begin - 1 started before this shard
            file_.seekg(begin - 1);
            std::string rest;
            if (std::getline(file_, rest)) position_ += static_cast<std::int64_t>(rest.size());
        }
    }
    bool next(std::string& line) {
        if (position_ >= end_ || !std::getline(file_, line)) {
            require(!file_.bad(), "cannot read {} at offset {}{}", path_, position_,
                    io::cause_of(errno, path_));
            return false;
        }
        line_begin_ = position_;
        position_ += static_cast<std::int64_t>(line.size()) + 1;
        return true;
    }
    std::int64_t position() const { return position_; }
    /// "FILE:LINE"; the line's number is counted only now that it is asked for.
    std::string place() const {
        std::ifstream file(path_, std::ios::binary);
        std::int64_t lines = 1;
        std::string buffer(std::size_t{1} << 16, '\0');
        for (std::int64_t left = line_begin_; left > 0 && file; left -= file.gcount()) {
            file.read(buffer.data(), std::min<std::int64_t>(left, static_cast<std::int64_t>(buffer.size())));
            lines += std::count(buffer.begin(), buffer.begin() + file.gcount(), '\n');
            if (file.gcount() == 0) break;
        }
        return fmt::format("{}:{}", path_, lines);
    }

private:
    std::string path_;
    std::ifstream file_;
    std::int64_t position_;
    std::int64_t end_;
    std::int64_t line_begin_ = 0;
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
        throw Error("{} is not UTF-8 (from byte {} on)", place, first_invalid(text));
}

class WholeFile : public DocumentReader {
public:
    WholeFile(std::string path, OnError on_error) : path_(std::move(path)), on_error_(on_error) {}
    bool next(std::string_view& document) override {
        if (std::exchange(read_, true)) return false;
        text_ = io::read_file(path_);
        bytes_read_ = static_cast<std::int64_t>(text_.size());
        if (on_error_ == OnError::skip && !simdjson::validate_utf8(text_.data(), text_.size()))
            return ++skipped_, false;
        require_utf8(text_, path_);
        document = text_;
        return true;
    }

private:
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
        while (lines_.next(line_)) {
            bytes_read_ = lines_.position() - begin_;
            if (!line_.empty() && line_.back() == '\r') line_.pop_back();
            try {
                if (take(document)) return true;
            } catch (const Error&) {
                if (on_error_ == OnError::fail) throw;
                ++skipped_;
            }
        }
        return false;
    }

protected:
    /// The document in `line_`; false when the line holds none.
    virtual bool take(std::string_view& document) = 0;
    LineReader lines_;
    std::string line_;

private:
    std::int64_t begin_;
    OnError on_error_;
};

class TextLines : public LineDocuments {
    using LineDocuments::LineDocuments;
    bool take(std::string_view& document) override {
        if (!simdjson::validate_utf8(line_.data(), line_.size())) require_utf8(line_, lines_.place());
        document = line_;
        return !line_.empty();
    }
};

class JsonLines : public LineDocuments {
public:
    JsonLines(const std::string& path, const Shard& shard, OnError on_error, std::string field)
        : LineDocuments(path, shard, on_error), field_(std::move(field)) {}

private:
    bool take(std::string_view& document) override {
        if (line_.find_first_not_of(" \t") == std::string::npos) return false;
        line_.reserve(line_.size() + simdjson::SIMDJSON_PADDING);
        simdjson::dom::element element;
        if (const auto error = parser_.parse(line_.data(), line_.size(), false).get(element))
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
    [[noreturn]] void fail(const std::string& what) const { throw Error("{} {}", lines_.place(), what); }
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
