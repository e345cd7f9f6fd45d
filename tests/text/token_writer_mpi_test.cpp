#include "eckart/io/artefact.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/text/token_writer.hpp"
#include "scratch_directory.hpp"
#include "text/reading.hpp"

#include <gtest/gtest.h>

namespace eckart::text {
namespace {

/// A directory that all ranks see.
std::filesystem::path shared_scratch(const mpi::Communicator& world, const ScratchDirectory& mine) {
    return mpi::broadcast(world, mine.path().string());
}

TEST(WriteTokens, TextAndWhatIsWrittenOfItGiveTheSameNgrams) {
    const mpi::Communicator world = mpi::Communicator::world();
    const ScratchDirectory mine;
    const auto scratch = shared_scratch(world, mine);
    std::string lines;
    for (int i = 0; i < 300; ++i) {
        std::string words;
        for (int k = 0; k < i % 11; ++k) words += "w" + std::to_string((i * k) % 17) + " ";
        lines += "{\"text\": \"" + words + "\"}\n";
    }
    if (world.is_root()) io::write_file(scratch / "a.jsonl", lines);
    world.barrier();
    const CorpusOptions options{.order = 3, .vocabulary = 100, .shard_bytes = 256};
    Progress progress = Progress::silent();
    Corpus corpus = Corpus::open({(scratch / "a.jsonl").string()}, options);
    corpus.prepare(world, progress);
    const std::string path = (scratch / "t.bin").string();
    const WrittenTokens written = write_tokens(world, corpus, path, TokenFormat::megatron, progress);
    EXPECT_EQ(written.counts.documents, 300);
    EXPECT_EQ(written.type, "uint16");
    const Reading text = read_all({(scratch / "a.jsonl").string()}, options),
                  tokens = read_all({path}, options);
    EXPECT_EQ(text.ngrams, tokens.ngrams);
    EXPECT_EQ(text.counts.tokens, tokens.counts.tokens);
    EXPECT_EQ(written.counts.tokens, tokens.counts.tokens);
    EXPECT_EQ(text.counts.expected_ngrams, tokens.counts.expected_ngrams);
    // The bytes say who wrote them on how many ranks: nobody.
    EXPECT_EQ(digest_of(io::read_file(path)), mpi::broadcast(world, digest_of(io::read_file(path))));
    EXPECT_THROW(write_tokens(world, corpus, (scratch / "f.bin").string(), TokenFormat::flat, progress),
                 UsageError);
    EXPECT_THROW(write_tokens(world, corpus, (scratch / "f.idx").string(), TokenFormat::megatron, progress),
                 UsageError);
    world.barrier();
}

/// Documents end with a token, which then separates them in a flat file.
TEST(WriteTokens, FlatFilesAreCutAtTheDocumentsEnd) {
    const auto model = shared_data() / "tokenizers/llama2_tokenizer.model";
    if (!std::filesystem::exists(model)) GTEST_SKIP() << "no " << model;
    const mpi::Communicator world = mpi::Communicator::world();
    const ScratchDirectory mine;
    const auto scratch = shared_scratch(world, mine);
    if (world.is_root())
        io::write_file(scratch / "a.txt", "One line of text.\nAnother one, of more words.\n\nA third\n");
    world.barrier();
    CorpusOptions options{
        .order = 3, .tokenizer = model.string(), .documents = Documents::lines, .shard_bytes = 16};
    const Reading plain = read_all({(scratch / "a.txt").string()}, options);
    options.document_end = "</s>";
    Progress progress = Progress::silent();
    Corpus corpus = Corpus::open({(scratch / "a.txt").string()}, options);
    corpus.prepare(world, progress);
    const std::string path = (scratch / "flat.bin").string();
    EXPECT_EQ(write_tokens(world, corpus, path, TokenFormat::flat, progress).counts.tokens,
              plain.counts.tokens + 3);
    EXPECT_EQ(read_all({path}, {.order = 3, .vocabulary = 32000, .separator = 2}).ngrams, plain.ngrams);
    options.document_end = "no such token";
    EXPECT_NE(failure({(scratch / "a.txt").string()}, options).find("no token 'no such token'"),
              std::string::npos);
    world.barrier();
}

}  // namespace
}  // namespace eckart::text
