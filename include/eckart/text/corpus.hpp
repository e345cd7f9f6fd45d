#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/token_source.hpp"
#include "eckart/text/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::text {

class MegatronIndex;

enum class Documents { file, lines };
enum class OnError { fail, skip };

/// How a corpus is to be read.
struct CorpusOptions {
    int order = 5;
    std::string tokenizer;        ///< path; empty: text is cut to words
    std::int64_t vocabulary = 0;  ///< 0: 32,000 words for text, the id range of the type for token files
    std::string token_type = "uint16";      ///< of flat .bin files: uint16 or uint32
    std::optional<std::int64_t> separator;  ///< token that ends a document, in no n-gram
    Documents documents = Documents::file;  ///< of plain text: a file or a line is a document
    std::string field = "text";             ///< of JSON lines
    std::string document_start;             ///< token put before every document of text; empty: none
    std::string document_end;               ///< and behind it
    OnError on_error = OnError::fail;
    std::int64_t shard_bytes = std::int64_t{16} << 20;
};

/// How a file's bytes become documents.
enum class Format { text, text_lines, json_lines, token_bin, token_npy };

/// A unit of work: bytes [begin, end) of a file. Documents that start in them, or tokens that lie in them.
struct Shard {
    std::int64_t file = 0;
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t bytes() const { return end - begin; }
};

/// The files that a path names: itself, those of a directory (in alphabetical order, none that is hidden), or
/// those that match a pattern as a shell would have it. Throws `Error` when there is none.
std::vector<std::string> corpus_files(const std::string& path);

/// A corpus: its files, cut into shards in one way whatever the ranks and the memory.
class Corpus {
public:
    /// Finds the files and plans the shards. .gz and .zst are read through; a .bin with an .idx beside it is
    /// a Megatron token file. Throws `UsageError` or `Error` naming what is missing, empty, of unknown format
    /// or malformed.
    static Corpus open(const std::vector<std::string>& paths, const CorpusOptions& options);

    /// Makes the tokenizer ready: without a tokenizer file, the words of a text corpus are counted first,
    /// each rank reading its part of the shards. Collective.
    void prepare(const mpi::Communicator& comm, Progress& progress);

    const std::vector<Shard>& shards() const { return shards_; }
    std::int64_t bytes() const;
    /// False for token files.
    bool is_text() const;
    /// True when every document of text ends with a token of its own.
    bool ends_documents() const { return !options_.document_end.empty(); }
    /// Every token id is below it. Requires `prepare` for text cut to words.
    std::int64_t vocabulary_size() const;
    /// The token as text; empty for token files without a tokenizer.
    std::string piece(TokenId token) const;
    bool has_pieces() const { return tokenizer_ != nullptr; }
    /// Memory that reading takes at most: the tokenizer's cache and the longest window of a compressed file.
    std::int64_t reading_bytes() const;
    /// The part of a recipe that is the corpus: inputs with sizes and digests, and every reading option.
    nlohmann::json recipe() const;
    /// How text became tokens, for the summary. Requires `prepare`.
    nlohmann::json describe_tokenizer() const;

    /// Reads one shard. Requires `prepare`.
    std::unique_ptr<TokenSource> read(const Shard& shard) const;

private:
    struct File {
        std::string path;
        Format format;
        std::int64_t size = 0;
        std::int64_t data_begin = 0;                     ///< of .npy: where the numbers start
        std::string token_type;                          ///< of token files
        std::shared_ptr<const MegatronIndex> documents;  ///< of a .bin that has an .idx beside it
    };
    void add_file(const std::string& path);
    void add_token_layout(File& file, bool npy) const;
    void plan_shards();

    CorpusOptions options_;
    std::vector<File> files_;
    std::vector<Shard> shards_;
    std::shared_ptr<Tokenizer> tokenizer_;
};

}  // namespace eckart::text
