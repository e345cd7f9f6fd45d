#include "eckart/text/token_writer.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/text/megatron_index.hpp"
#include "eckart/text/token_file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <vector>

namespace eckart::text {

namespace {

namespace fs = std::filesystem;

/// The shards of a rank when all are dealt out in order, so that the ranks' tokens follow one another.
std::vector<Shard> consecutive_shards(const Corpus& corpus, int rank, int ranks) {
    std::vector<Shard> mine;
    std::int64_t before = 0;
    for (const Shard& shard : corpus.shards()) {
        if (before * ranks / corpus.bytes() == rank) mine.push_back(shard);
        before += shard.bytes();
    }
    return mine;
}

/// A rank's tokens, in a file of their own until it is known where they belong.
class Part {
public:
    Part(fs::path path, std::string type) : path_(std::move(path)), type_(std::move(type)) {}
    ~Part() {
        std::error_code ignored;
        fs::remove(path_, ignored);
    }
    Part(Part&&) = delete;

    const std::vector<std::int32_t>& lengths() const { return lengths_; }
    const ReadCounts& counts() const { return counts_; }
    std::int64_t bytes() const { return bytes_; }

    void write(const Corpus& corpus, const std::vector<Shard>& shards, int ranks, Progress& progress) {
        std::ofstream out(path_, std::ios::binary);
        for (const Shard& shard : shards) {
            const auto source = corpus.read(shard);
            for (TokenChunk chunk; source->next(chunk);) {
                if (interrupt_requested()) return;
                append(out, chunk.tokens);
                progress.update((counts_.bytes + source->counts().bytes) * ranks);
            }
            counts_ += source->counts();
        }
        out.close();
        require(static_cast<bool>(out), "cannot write {}{}", path_.string(), io::cause_of(errno, path_));
    }
    /// Copies the part to where it belongs in a file that is there.
    void copy_to(const std::string& path, std::int64_t offset) const {
        std::ifstream in(path_, std::ios::binary);
        std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
        out.seekp(offset);
        if (bytes_ > 0) out << in.rdbuf();
        out.close();
        require(static_cast<bool>(out), "cannot write {}{}", path, io::cause_of(errno, path));
    }

private:
    void append(std::ofstream& out, std::span<const TokenId> tokens) {
        if (tokens.empty()) return;
        lengths_.push_back(narrow<std::int32_t>(tokens.size()));
        if (type_ == "uint16") {
            narrow_.assign(tokens.begin(), tokens.end());
            put(out, std::as_bytes(std::span(narrow_)));
        } else {
            put(out, std::as_bytes(tokens));
        }
    }
    void put(std::ofstream& out, std::span<const std::byte> bytes) {
        out.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
        require(static_cast<bool>(out), "cannot write {}{}", path_.string(), io::cause_of(errno, path_));
        bytes_ += std::ssize(bytes);
    }
    fs::path path_;
    std::string type_;
    std::vector<std::int32_t> lengths_;
    std::vector<std::uint16_t> narrow_;
    ReadCounts counts_;
    std::int64_t bytes_ = 0;
};

ReadCounts sum(const mpi::Communicator& comm, const ReadCounts& mine) {
    std::int64_t numbers[] = {mine.documents, mine.tokens, mine.expected_ngrams, mine.skipped, mine.bytes};
    mpi::all_sum(comm, std::span<std::int64_t>(numbers));
    return {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
}

/// All ranks' lengths, in order, on the root.
std::vector<std::int32_t> gather_lengths(const mpi::Communicator& comm,
                                         const std::vector<std::int32_t>& mine) {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(comm.size()));
    counts.front() = std::ssize(mine);
    return mpi::all_to_all<std::int32_t>(comm, mine, counts).values;
}

}  // namespace

WrittenTokens write_tokens(const mpi::Communicator& comm, const Corpus& corpus, const std::string& path,
                           TokenFormat format, Progress& progress) {
    mpi::agree(comm, [&] {
        if (!corpus.is_text()) throw UsageError("the corpus is tokenised already");
        if (!path.ends_with(".bin")) throw UsageError("tokens go to a file NAME.bin, not to {}", path);
        if (format == TokenFormat::flat && !corpus.ends_documents())
            throw UsageError("in a flat file documents would run together: name a --document-end");
    });
    constexpr std::int64_t most_for_uint16 = 65500;  // as Megatron has it
    const std::string type = corpus.vocabulary_size() < most_for_uint16 ? "uint16" : "int32";
    Part part(fmt::format("{}.part-{:05}.partial", path, comm.rank()), type);
    progress.begin("tokenising", corpus.bytes(), "B");
    mpi::agree(comm, [&] {
        part.write(corpus, consecutive_shards(corpus, comm.rank(), comm.size()), comm.size(), progress);
    });
    mpi::stop_if_interrupted(comm, "nothing is left behind");
    std::optional<io::PendingFile> whole;
    mpi::agree(comm, [&] {
        if (!comm.is_root()) return;
        whole.emplace(path);
        require(std::ofstream(whole->partial(), std::ios::binary).good(), "cannot write {}{}", path,
                io::cause_of(errno, path));
    });
    const std::string target = mpi::broadcast(comm, whole ? whole->partial().string() : std::string());
    const auto sizes = mpi::all_gather(comm, part.bytes());
    mpi::agree(comm, [&] {
        part.copy_to(target, std::accumulate(sizes.begin(), sizes.begin() + comm.rank(), std::int64_t{0}));
    });
    const auto lengths = gather_lengths(comm, part.lengths());
    mpi::agree(comm, [&] {
        if (!comm.is_root()) return;
        fs::remove(path);  // what was there before does not fit what comes
        fs::remove(index_path(path));
        if (format == TokenFormat::megatron) write_megatron_index(index_path(path), type, lengths);
        whole->commit();  // last: ids without their index would read as one document
    });
    progress.end();
    return {.counts = sum(comm, part.counts()), .type = type};
}

}  // namespace eckart::text
