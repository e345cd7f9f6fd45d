#include "eckart/io/artefact.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/text/corpus.hpp"
#include "scratch_directory.hpp"
#include "text/reading.hpp"

#include <fstream>
#include <numeric>

#include <gtest/gtest.h>

namespace eckart::text {
namespace {

/// Shards of every size give the n-grams of one shard.
class AnySharding : public testing::TestWithParam<std::int64_t> {
protected:
    ScratchDirectory scratch;
    std::string put(const std::string& name, const std::string& text) {
        io::write_file(scratch / name, text);
        return (scratch / name).string();
    }
};
INSTANTIATE_TEST_SUITE_P(Bytes, AnySharding, testing::Values(8, 16, 24, 40, 64, 1 << 20));

TEST_P(AnySharding, TokenFilesWithSeparators) {
    std::vector<std::uint16_t> tokens;
    Ngrams expected;
    std::int64_t documents = 0, own = 0, windows = 0;
    for (int document = 0; document < 40; ++document) {
        const int length = document * 7 % 13;
        std::vector<TokenId> ids;
        for (int i = 0; i < length; ++i) ids.push_back(static_cast<TokenId>(1 + (document + i * i) % 5));
        tokens.insert(tokens.end(), ids.begin(), ids.end());
        tokens.push_back(0);
        documents += length > 0;
        own += length;
        for (int i = 0; i + 3 <= length; ++i, ++windows) ++expected[{ids.begin() + i, ids.begin() + i + 3}];
    }
    const std::string path = put("t.bin", {reinterpret_cast<const char*>(tokens.data()), tokens.size() * 2});
    const Reading reading =
        read_all({path}, {.order = 3, .vocabulary = 6, .separator = 0, .shard_bytes = GetParam()});
    EXPECT_EQ(reading.ngrams, expected);
    EXPECT_EQ(reading.counts.documents, documents);
    EXPECT_EQ(reading.counts.tokens, own);
    EXPECT_EQ(reading.counts.expected_ngrams, windows);
}

TEST_P(AnySharding, LinesAreReadOnceEach) {
    std::string json, lines;
    for (int i = 0; i < 30; ++i) {
        const std::string text =
            std::string(static_cast<std::size_t>(i % 4), 'x') + " a b c d " + std::to_string(i % 3);
        json += R"({"meta": {"n": 1}, "text": ")" + text + "\"}" + (i % 5 == 0 ? "\r\n" : "\n") +
                (i % 7 == 0 ? "\n" : "");
        lines += text + (i == 29 ? "" : "\n");
    }
    const Reading a = read_all({put("a.jsonl", json)}, {.order = 2, .shard_bytes = GetParam()});
    const Reading b = read_all({put("b.txt", lines)},
                               {.order = 2, .documents = Documents::lines, .shard_bytes = GetParam()});
    EXPECT_EQ(a.counts.documents, 30);
    EXPECT_EQ(a.ngrams, b.ngrams);
    EXPECT_EQ(a.counts.tokens, b.counts.tokens);
    EXPECT_EQ(a.counts.expected_ngrams,
              std::accumulate(a.ngrams.begin(), a.ngrams.end(), 0,
                              [](int sum, const auto& entry) { return sum + entry.second; }));
}

TEST_P(AnySharding, BadInputIsNamedWithItsPlace) {
    const std::int64_t bytes = GetParam();
    EXPECT_NE(failure({put("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": 5}\n")},
                      {.shard_bytes = bytes})
                  .find("a.jsonl:3 has a field 'text' that is not a string"),
              std::string::npos);
    EXPECT_NE(failure({put("b.jsonl", "{\"text\": \"a\"}\n{\"text\": \n")}, {.shard_bytes = bytes})
                  .find("b.jsonl:2 is not valid JSON"),
              std::string::npos);
    EXPECT_NE(failure({put("c.jsonl", "{\"txt\": \"a\"}\n")}, {.shard_bytes = bytes})
                  .find("c.jsonl:1 has no field 'text'"),
              std::string::npos);
    EXPECT_NE(failure({put("d.txt", "good \xff bad")}, {.shard_bytes = bytes})
                  .find("d.txt is not UTF-8 (from byte 5 on)"),
              std::string::npos);
    EXPECT_NE(failure({put("e.bin", "abc")}, {.shard_bytes = bytes}).find("e.bin has 3 bytes"),
              std::string::npos);
    EXPECT_NE(failure({put("f.bin", {"\1\0\2\0\5\0", 6})}, {.vocabulary = 5, .shard_bytes = bytes})
                  .find("offset 4 has id 5, the vocabulary holds 5"),
              std::string::npos);
    EXPECT_NE(failure({put("empty.txt", "")}, {.shard_bytes = bytes}).find("the corpus is empty"),
              std::string::npos);
    EXPECT_NE(failure({(scratch / "none.txt").string()}, {.shard_bytes = bytes}).find("none.txt"),
              std::string::npos);
    const Reading skipped = read_all({put("a.jsonl", "{\"text\": \"a\"}\n{}\n{\"text\": \"b\"}\n")},
                                     {.on_error = OnError::skip, .shard_bytes = bytes});
    EXPECT_EQ(skipped.counts.documents, 2);
    EXPECT_EQ(skipped.counts.skipped, 1);
}

TEST(Npy, HeadersOfNumpyAreRead) {
    const ScratchDirectory scratch;
    const auto put = [&](const std::string& dict, const std::string& data) {
        std::string header = dict + std::string(64 - (10 + dict.size() + 1) % 64, ' ') + "\n";
        const std::string length{static_cast<char>(header.size()), '\0'};
        io::write_file(scratch / "a.npy", std::string("\x93NUMPY\1\0", 8) + length + header + data);
        return (scratch / "a.npy").string();
    };
    const std::string path =
        put("{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", {"\1\0\0\0\2\0\0\0\3\0\0\0", 12});
    EXPECT_EQ(read_all({path}, {.order = 2, .vocabulary = 4}).ngrams, (Ngrams{{{1, 2}, 1}, {{2, 3}, 1}}));
    EXPECT_NE(
        failure({put("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", std::string(12, '\0'))}, {})
            .find("type <f4"),
        std::string::npos);
    EXPECT_NE(
        failure({put("{'descr': '<i4', 'fortran_order': False, 'shape': (3, 1), }", std::string(12, '\0'))},
                {})
            .find("one-dimensional"),
        std::string::npos);
    EXPECT_NE(
        failure({put("{'descr': '<i4', 'fortran_order': False, 'shape': (4,), }", std::string(12, '\0'))}, {})
            .find("its header speaks of"),
        std::string::npos);
}

TEST(Words, TheVocabularyIsTheMostFrequentOnAnyNumberOfRanks) {
    const mpi::Communicator world = mpi::Communicator::world();
    const ScratchDirectory scratch;
    io::write_file(scratch / "w.txt", "b b b a a c c d. d e f");
    Progress progress = Progress::silent();
    Corpus corpus = Corpus::open({(scratch / "w.txt").string()}, {.order = 2, .vocabulary = 5});
    corpus.prepare(world, progress);
    std::vector<std::string> pieces;
    for (TokenId id = 0; id < corpus.vocabulary_size(); ++id) pieces.push_back(corpus.piece(id));
    EXPECT_EQ(pieces, (std::vector<std::string>{"<unk>", "b", "a", "c", "d"}));
}

}  // namespace
}  // namespace eckart::text
