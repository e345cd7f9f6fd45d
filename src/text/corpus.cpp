#include "eckart/text/corpus.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/recipe.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/text/byte_stream.hpp"
#include "eckart/text/document_reader.hpp"
#include "eckart/text/megatron_index.hpp"
#include "eckart/text/token_file.hpp"
#include "eckart/text/word_cache.hpp"
#include "eckart/text/words.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include <glob.h>

namespace eckart::text {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t default_words = 32000;

bool is_token_format(Format format) {
    return format == Format::token_bin || format == Format::token_npy;
}

/// What a shell would make of a pattern that was kept from it by quotes.
std::vector<std::string> expand(const std::string& pattern) {
    glob_t matches{};
    const int result = ::glob(pattern.c_str(), 0, nullptr, &matches);
    std::vector<std::string> paths(matches.gl_pathv, matches.gl_pathv + (result == 0 ? matches.gl_pathc : 0));
    ::globfree(&matches);
    return paths;
}

bool is_hidden(const fs::path& path) {
    return path.filename().string().starts_with('.');
}

/// Files of a directory and below, in alphabetical order, without hidden ones and Megatron's indexes.
std::vector<std::string> files_below(const std::string& directory) {
    std::vector<std::string> found;
    for (auto entry = fs::recursive_directory_iterator(directory);
         entry != fs::recursive_directory_iterator(); ++entry) {
        if (is_hidden(entry->path())) {
            entry.disable_recursion_pending();
            continue;
        }
        if (entry->is_regular_file() && entry->path().extension() != ".idx")
            found.push_back(entry->path().string());
    }
    std::sort(found.begin(), found.end());
    require(!found.empty(), "the directory {} holds no file", directory);
    return found;
}

/// Tokens that are put around every document.
struct Frame {
    std::optional<TokenId> start;
    std::optional<TokenId> end;
};

/// Documents of a text shard, tokenised.
class TextSource : public TokenSource {
public:
    TextSource(std::unique_ptr<DocumentReader> reader, std::shared_ptr<Tokenizer> tokenizer, Frame frame,
               int order)
        : reader_(std::move(reader)), tokenizer_(std::move(tokenizer)), frame_(frame), order_(order) {}
    bool next(TokenChunk& chunk) override {
        std::string_view document;
        const bool found = reader_->next(document);
        counts_.bytes = reader_->bytes_read();
        counts_.skipped = reader_->skipped();
        if (!found) return false;
        tokens_.clear();
        if (frame_.start) tokens_.push_back(*frame_.start);
        tokenizer_->encode(document, tokens_);
        if (frame_.end) tokens_.push_back(*frame_.end);
        const auto length = static_cast<std::int64_t>(tokens_.size());
        chunk = {.tokens = tokens_, .starts_document = true, .lead_in = 0};
        ++counts_.documents;
        counts_.tokens += length;
        counts_.expected_ngrams += std::max<std::int64_t>(0, length - order_ + 1);
        return true;
    }

private:
    std::unique_ptr<DocumentReader> reader_;
    std::shared_ptr<Tokenizer> tokenizer_;
    Frame frame_;
    int order_;
    std::vector<TokenId> tokens_;
};

/// The token that is spelled so, or nothing for an empty spelling.
std::optional<TokenId> token_of(const Tokenizer& tokenizer, const std::string& spelling) {
    if (spelling.empty()) return std::nullopt;
    const auto token = tokenizer.find(spelling);
    if (!token) throw UsageError("the vocabulary has no token '{}' to put around documents", spelling);
    return token;
}

/// The most frequent words over all ranks. Each rank owns the words of some hash values, so that none holds
/// all.
std::vector<std::string> reduce_words(const mpi::Communicator& comm, const WordCounts& mine,
                                      std::int64_t size) {
    const auto exchange = [&](const auto& words_of_rank) {
        std::string letters;
        std::vector<std::int64_t> counts;
        for (const auto& words : words_of_rank) {
            const std::size_t before = letters.size();
            for (const auto* entry : words)
                letters += entry->first + '\t' + std::to_string(entry->second) + '\n';
            counts.push_back(static_cast<std::int64_t>(letters.size() - before));
        }
        const auto received = mpi::all_to_all<char>(comm, letters, counts).values;
        WordCounts merged;
        std::string_view text(received.data(), received.size());
        while (!text.empty()) {
            const std::size_t end = text.find('\n'), tab = text.rfind('\t', end);
            merged[std::string(text.substr(0, tab))] +=
                std::stoll(std::string(text.substr(tab + 1, end - tab - 1)));
            text.remove_prefix(end + 1);
        }
        return merged;
    };
    std::vector<std::vector<const WordCounts::value_type*>> by_owner(static_cast<std::size_t>(comm.size()));
    for (const auto& entry : mine) by_owner[TextHash{}(entry.first) % by_owner.size()].push_back(&entry);
    const WordCounts owned = exchange(by_owner);
    std::vector<const WordCounts::value_type*> best;
    for (const std::string& word : most_frequent(owned, size)) best.push_back(&*owned.find(word));
    return most_frequent(exchange(std::vector(static_cast<std::size_t>(comm.size()), best)), size);
}

}  // namespace

ReadCounts& ReadCounts::operator+=(const ReadCounts& other) {
    documents += other.documents;
    tokens += other.tokens;
    expected_ngrams += other.expected_ngrams;
    skipped += other.skipped;
    bytes += other.bytes;
    return *this;
}

std::vector<std::string> corpus_files(const std::string& path) {
    if (fs::is_directory(path)) return files_below(path);
    if (fs::exists(path)) return {path};
    std::vector<std::string> files;
    for (const std::string& match : expand(path)) {
        const auto below = corpus_files(match);
        files.insert(files.end(), below.begin(), below.end());
    }
    require(!files.empty(), "there is no corpus file {}", path);
    return files;
}

Corpus Corpus::open(const std::vector<std::string>& paths, const CorpusOptions& options) {
    if (paths.empty()) throw UsageError("no corpus is named");
    if (options.token_type != "uint16" && options.token_type != "uint32")
        throw UsageError("--token-type is uint16 or uint32, not {}", options.token_type);
    if (options.vocabulary < 0)
        throw UsageError("--vocabulary {} is not a number of tokens", options.vocabulary);
    Corpus corpus;
    corpus.options_ = options;
    for (const std::string& path : paths)
        for (const std::string& file : corpus_files(path)) corpus.add_file(file);
    const auto tokens = std::count_if(corpus.files_.begin(), corpus.files_.end(),
                                      [](const File& file) { return is_token_format(file.format); });
    if (tokens != 0 && tokens != std::ssize(corpus.files_))
        throw UsageError("a corpus is text or token files, not both");
    const bool framed = !options.document_start.empty() || !options.document_end.empty();
    if (framed && (options.tokenizer.empty() || tokens != 0))
        throw UsageError("tokens around documents need text and a --tokenizer");
    corpus.plan_shards();
    return corpus;
}

void Corpus::add_file(const std::string& path) {
    const bool compressed = is_compressed(path);
    const std::string extension =
        fs::path(compressed ? fs::path(path).stem() : fs::path(path)).extension().string();
    File file{.path = path,
              .format = Format::text,
              .size = static_cast<std::int64_t>(fs::file_size(path)),
              .data_begin = 0,
              .token_type = "",
              .documents = nullptr};
    if (extension == ".bin" || extension == ".npy") {
        require(!compressed, "{}: token files are read uncompressed", path);
        add_token_layout(file, extension == ".npy");
    } else if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") {
        file.format = Format::json_lines;
    } else if (options_.documents == Documents::lines) {
        file.format = Format::text_lines;
    }
    files_.push_back(std::move(file));
}

void Corpus::add_token_layout(File& file, bool npy) const {
    file.format = npy ? Format::token_npy : Format::token_bin;
    if (!npy && fs::exists(index_path(file.path)))
        file.documents = std::make_shared<const MegatronIndex>(index_path(file.path), file.path, file.size);
    const TokenLayout layout =
        npy ? read_npy_layout(file.path)
            : flat_layout(file.path,
                          file.documents != nullptr ? file.documents->token_type() : options_.token_type);
    file.data_begin = layout.begin;
    file.token_type = layout.type;
}

void Corpus::plan_shards() {
    // A small corpus is cut finer, so that the ranks' shares are even.
    constexpr std::int64_t least = std::int64_t{1} << 20, most_even = 256;
    const std::int64_t size =
        std::accumulate(files_.begin(), files_.end(), std::int64_t{0},
                        [](std::int64_t sum, const File& file) { return sum + file.size; });
    const std::int64_t wanted = std::min(options_.shard_bytes, std::max(least, size / most_even)) / 8 * 8;
    for (std::size_t i = 0; i < files_.size(); ++i) {
        const File& file = files_[i];
        // A text file is one document, a compressed file has one beginning. Other files are cut anywhere:
        // readers find the borders of lines and documents.
        const bool whole = file.format == Format::text || is_compressed(file.path);
        const std::int64_t step = whole ? std::max<std::int64_t>(file.size, 1) : wanted;
        for (std::int64_t begin = file.data_begin; begin < file.size; begin += step)
            shards_.push_back({.file = static_cast<std::int64_t>(i),
                               .begin = begin,
                               .end = std::min(begin + step, file.size)});
    }
    require(!shards_.empty(), "the corpus is empty: {} holds no byte", files_.front().path);
}

std::int64_t Corpus::reading_bytes() const {
    std::int64_t window = 0;
    for (const File& file : files_) window = std::max(window, decompression_bytes(file.path));
    return window + (is_text() && !options_.tokenizer.empty() ? std::int64_t{WordCache::peak_bytes} : 0);
}

bool Corpus::is_text() const {
    return !is_token_format(files_.front().format);
}

std::int64_t Corpus::bytes() const {
    std::int64_t sum = 0;
    for (const Shard& shard : shards_) sum += shard.bytes();
    return sum;
}

void Corpus::prepare(const mpi::Communicator& comm, Progress& progress) {
    if (!options_.tokenizer.empty()) {
        mpi::agree(comm, [&] {
            tokenizer_ = load_tokenizer(options_.tokenizer);
            for (const std::string& token : {options_.document_start, options_.document_end})
                token_of(*tokenizer_, token);
        });
        return;
    }
    if (!is_text()) return;
    WordCounts counts;
    progress.begin("finding the vocabulary", bytes(), "B");
    mpi::agree(comm, [&] {
        const WordSegmenter segmenter;
        std::int64_t done = 0;
        for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < shards_.size();
             i += static_cast<std::size_t>(comm.size())) {
            const auto reader = open_documents(files_[static_cast<std::size_t>(shards_[i].file)].path,
                                               files_[static_cast<std::size_t>(shards_[i].file)].format,
                                               shards_[i], options_);
            for (std::string_view document; reader->next(document);) {
                count_words(segmenter, document, counts);
                progress.update((done + reader->bytes_read()) * comm.size());
            }
            done += shards_[i].bytes();
        }
    });
    const std::int64_t size = options_.vocabulary > 0 ? options_.vocabulary : default_words;
    tokenizer_ = make_word_tokenizer(reduce_words(comm, counts, size - 1));
    progress.end();
}

std::int64_t Corpus::vocabulary_size() const {
    if (tokenizer_ != nullptr) return tokenizer_->vocabulary_size();
    if (options_.vocabulary > 0) return options_.vocabulary;
    std::int64_t bound = 0;
    for (const File& file : files_) bound = std::max(bound, token_bound(file.token_type));
    return bound;
}

std::string Corpus::piece(TokenId token) const {
    return tokenizer_ == nullptr ? "" : tokenizer_->piece(token);
}

nlohmann::json Corpus::recipe() const {
    nlohmann::json inputs = nlohmann::json::array();
    for (const File& file : files_) {
        inputs.push_back({{"file", fs::path(file.path).filename().string()},
                          {"bytes", file.size},
                          {"digest", io::input_digest(file.path)}});
        if (file.documents != nullptr)
            inputs.back()["index_digest"] = io::input_digest(index_path(file.path));
    }
    return {{"inputs", inputs},
            {"tokenizer", options_.tokenizer.empty() ? "" : io::input_digest(options_.tokenizer)},
            {"vocabulary", options_.vocabulary},
            {"token_type", options_.token_type},
            {"separator", options_.separator ? nlohmann::json(*options_.separator) : nlohmann::json()},
            {"documents", options_.documents == Documents::file ? "file" : "lines"},
            {"field", options_.field},
            {"document_start", options_.document_start},
            {"document_end", options_.document_end},
            {"on_error", options_.on_error == OnError::fail ? "fail" : "skip"}};
}

nlohmann::json Corpus::describe_tokenizer() const {
    if (tokenizer_ != nullptr) {
        nlohmann::json description = tokenizer_->describe();
        if (is_text()) {
            const auto or_none = [](const std::string& token) { return token.empty() ? "none" : token; };
            description["document_start"] = or_none(options_.document_start);
            description["document_end"] = or_none(options_.document_end);
        }
        return description;
    }
    return {{"kind", "token file"}, {"vocabulary", vocabulary_size()}};
}

std::unique_ptr<TokenSource> Corpus::read(const Shard& shard) const {
    const File& file = files_[static_cast<std::size_t>(shard.file)];
    if (!is_token_format(file.format))
        return std::make_unique<TextSource>(open_documents(file.path, file.format, shard, options_),
                                            tokenizer_,
                                            Frame{token_of(*tokenizer_, options_.document_start),
                                                  token_of(*tokenizer_, options_.document_end)},
                                            options_.order);
    const std::int64_t width = token_bytes(file.token_type);
    const TokenLayout layout{
        .type = file.token_type, .begin = file.data_begin, .count = (file.size - file.data_begin) / width};
    return open_tokens(file.path, layout, (shard.begin - file.data_begin) / width,
                       (shard.end - file.data_begin) / width,
                       {.order = options_.order,
                        .separator = options_.separator,
                        .vocabulary = vocabulary_size(),
                        .documents = file.documents});
}

}  // namespace eckart::text
