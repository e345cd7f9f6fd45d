#include "eckart/io/artefact.hpp"
#include "eckart/text/megatron_index.hpp"
#include "scratch_directory.hpp"
#include "text/reading.hpp"

#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

namespace eckart::text {
namespace {

using testing::HasSubstr;

std::string gzip(const std::string& text) {
    std::string out(text.size() + 1000, '\0');
    z_stream state{};
    deflateInit2(&state, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
    state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    state.avail_in = static_cast<uInt>(text.size());
    state.next_out = reinterpret_cast<Bytef*>(out.data());
    state.avail_out = static_cast<uInt>(out.size());
    deflate(&state, Z_FINISH);
    out.resize(state.total_out);
    deflateEnd(&state);
    return out;
}

std::string zstd(const std::string& text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

/// As `zstd --long=28` writes what comes through a pipe: the size is not known, so the window stays as it is
/// asked for, longer than readers allow by default.
std::string zstd_of_long_window(const std::string& text) {
    const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, 1);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 28);
    std::string out(ZSTD_compressBound(text.size()), '\0');
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    ZSTD_inBuffer first{text.data(), text.size() / 2, 0}, rest{text.data(), text.size(), text.size() / 2};
    ZSTD_compressStream2(context.get(), &to, &first, ZSTD_e_continue);
    EXPECT_EQ(ZSTD_compressStream2(context.get(), &to, &rest, ZSTD_e_end), 0u);
    out.resize(to.pos);
    EXPECT_EQ(ZSTD_getFrameContentSize(out.data(), out.size()), ZSTD_CONTENTSIZE_UNKNOWN);
    return out;
}

class Formats : public testing::Test {
protected:
    ScratchDirectory scratch;
    std::string put(const std::string& name, const std::string& text) {
        io::make_directory((scratch / name).parent_path());
        io::write_file(scratch / name, text);
        return (scratch / name).string();
    }
    /// A few thousand lines of JSON, longer than any buffer.
    static std::string lines() {
        std::string text;
        for (int i = 0; i < 4000; ++i)
            text += "{\"meta\": {\"n\": " + std::to_string(i) + "}, \"text\": \"a word " +
                    std::to_string(i * i % 101) + std::string(i == 2000 ? 600000 : 40, 'x') + " b c\"}\n";
        return text;
    }
};

TEST_F(Formats, CompressedFilesReadAsWhatTheyHold) {
    const std::string text = lines();
    const Reading plain = read_all({put("a.jsonl", text)}, {.order = 3, .shard_bytes = 4096});
    EXPECT_EQ(plain.counts.documents, 4000);
    const std::string half = text.substr(0, 70001), rest = text.substr(70001);
    for (const std::string& path :
         {put("a.jsonl.gz", gzip(text)), put("b.jsonl.gz", gzip(half) + gzip("") + gzip(rest)),
          put("a.jsonl.zst", zstd(text)), put("b.jsonl.zst", zstd(half) + zstd("") + zstd(rest)),
          put("long.jsonl.zst", zstd(half) + zstd_of_long_window(rest))}) {
        const Reading reading = read_all({path}, {.order = 3});
        EXPECT_EQ(reading.ngrams, plain.ngrams) << path;
        EXPECT_EQ(reading.counts.tokens, plain.counts.tokens) << path;
        EXPECT_EQ(reading.counts.bytes, static_cast<std::int64_t>(std::filesystem::file_size(path))) << path;
    }
    EXPECT_EQ(read_all({put("t.txt.gz", gzip("one two three"))}, {.order = 2}).ngrams.size(), 2u);
}

TEST_F(Formats, TheMemoryOfReadingIsKnownBeforehand) {
    const std::string text = lines();
    const auto bytes = [](const std::string& path) { return Corpus::open({path}, {}).reading_bytes(); };
    EXPECT_EQ(bytes(put("a.jsonl", text)), 0);
    EXPECT_LT(bytes(put("a.jsonl.zst", zstd(text))), 16 << 20);
    EXPECT_GT(bytes(put("long.jsonl.zst", zstd_of_long_window(text))), 1 << 28);
    EXPECT_EQ(bytes(put("broken.jsonl.zst", "no frame")), 0);
}

TEST_F(Formats, CutOffOrDamagedFilesAreNamed) {
    const std::string text = lines();
    const std::string gz = gzip(text), zst = zstd(text);
    EXPECT_THAT(failure({put("cut.jsonl.gz", gz.substr(0, gz.size() / 2))}, {}),
                HasSubstr("cut.jsonl.gz is cut off"));
    EXPECT_THAT(failure({put("cut.jsonl.zst", zst.substr(0, zst.size() / 2))}, {}),
                HasSubstr("cut.jsonl.zst is cut off"));
    EXPECT_THAT(failure({put("not.jsonl.gz", text)}, {}), HasSubstr("not.jsonl.gz is damaged"));
    EXPECT_THAT(failure({put("not.jsonl.zst", text)}, {}), HasSubstr("not.jsonl.zst is damaged"));
    EXPECT_THAT(failure({put("junk.jsonl.gz", gz + "tail")}, {}), HasSubstr("junk.jsonl.gz is damaged"));
    EXPECT_THAT(failure({put("bad.jsonl.gz", gzip("{\"text\": \"a\"}\n{\"txt\": 1}\n"))}, {}),
                HasSubstr("bad.jsonl.gz:2 has no field 'text'"));
    const std::string two_frames = zstd(text.substr(0, 70001)) + zst.substr(0, zst.size() / 2);
    const Reading reading = read_all({put("cut.jsonl.zst", two_frames)}, {.on_error = OnError::skip});
    EXPECT_EQ(reading.counts.skipped, 1);
    EXPECT_GT(reading.counts.documents, 0);
}

TEST_F(Formats, DirectoriesAndPatternsNameFiles) {
    put("d/b.txt", "b b b");
    put("d/a/c.jsonl", "{\"text\": \"c c c\"}\n");
    put("d/.hidden.txt", "h h h");
    put("d/.git/x.txt", "g g g");
    EXPECT_EQ(read_all({(scratch / "d").string()}, {.order = 2}).counts.documents, 2);
    EXPECT_EQ(read_all({(scratch / "d/*.txt").string()}, {.order = 2}).counts.documents, 1);
    EXPECT_THAT(failure({(scratch / "d/*.gz").string()}, {}), HasSubstr("there is no corpus file"));
}

/// A Megatron file of these documents, each a list of sequences.
using MegatronDocuments = std::vector<std::vector<std::vector<TokenId>>>;
template <typename T>
void append(std::string& bytes, T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
struct MegatronFile {
    std::string bin, idx;
};
template <typename T>
MegatronFile megatron(const MegatronDocuments& documents, std::uint8_t code) {
    MegatronFile file;
    std::string sizes, pointers, borders;
    std::int64_t sequences = 0;
    append(borders, sequences);
    for (const auto& document : documents) {
        for (const auto& sequence : document) {
            append(sizes, static_cast<std::int32_t>(sequence.size()));
            append(pointers, static_cast<std::int64_t>(file.bin.size()));
            for (const TokenId id : sequence) append(file.bin, static_cast<T>(id));
            ++sequences;
        }
        append(borders, sequences);
    }
    file.idx = std::string("MMIDIDX\0\0", 9);
    append(file.idx, std::int64_t{1});
    append(file.idx, code);
    append(file.idx, sequences);
    append(file.idx, static_cast<std::int64_t>(documents.size() + 1));
    file.idx += sizes + pointers + borders;
    return file;
}

class Megatron : public Formats, public testing::WithParamInterface<std::int64_t> {
protected:
    std::string put_pair(const std::string& name, const MegatronFile& file) {
        put(name + ".idx", file.idx);
        return put(name + ".bin", file.bin);
    }
    MegatronDocuments documents() const {
        MegatronDocuments result;
        for (std::size_t d = 0; d < 50; ++d) {
            std::vector<std::vector<TokenId>> document(d % 4);
            for (std::size_t s = 0; s < document.size(); ++s)
                for (std::size_t i = 0; i < (d * 5 + s * 3) % 9; ++i)
                    document[s].push_back(static_cast<TokenId>((d + i * i) % 100));
            result.push_back(document);
        }
        return result;
    }
};
INSTANTIATE_TEST_SUITE_P(Bytes, Megatron, testing::Values(8, 16, 40, 128, 1 << 20));

TEST_P(Megatron, SequencesDoNotCutDocumentsAndDocumentsDoCut) {
    Ngrams expected;
    std::int64_t tokens = 0, filled = 0;
    for (const auto& document : documents()) {
        std::vector<TokenId> ids;
        for (const auto& sequence : document) ids.insert(ids.end(), sequence.begin(), sequence.end());
        tokens += std::ssize(ids);
        filled += !ids.empty();
        for (auto at = ids.begin(); ids.end() - at >= 3; ++at) ++expected[{at, at + 3}];
    }
    const auto files = {put_pair("u2", megatron<std::uint16_t>(documents(), 8)),
                        put_pair("i4", megatron<std::int32_t>(documents(), 4)),
                        put_pair("i8", megatron<std::int64_t>(documents(), 5)),
                        put_pair("i2", megatron<std::int16_t>(documents(), 3)),
                        put_pair("i1", megatron<std::int8_t>(documents(), 2)),
                        put_pair("u1", megatron<std::uint8_t>(documents(), 1))};
    for (const std::string& path : files) {
        const Reading reading = read_all({path}, {.order = 3, .vocabulary = 100, .shard_bytes = GetParam()});
        EXPECT_EQ(reading.ngrams, expected) << path;
        EXPECT_EQ(reading.counts.tokens, tokens) << path;
        EXPECT_EQ(reading.counts.documents, filled) << path;
    }
}

TEST_P(Megatron, AnIndexThatDoesNotFitIsNamed) {
    const MegatronFile good = megatron<std::uint16_t>(documents(), 8);
    const auto reading_fails = [&](const std::string& bin, const std::string& idx) {
        return failure({put_pair("m", {bin, idx})}, {.order = 3, .shard_bytes = GetParam()});
    };
    const auto changed = [&](std::size_t at, char value) {
        std::string idx = good.idx;
        idx[at] = value;
        return idx;
    };
    EXPECT_THAT(reading_fails(good.bin + "xx", good.idx), HasSubstr("does not belong to"));
    EXPECT_THAT(reading_fails(good.bin, changed(0, 'X')), HasSubstr("m.idx is not a Megatron index"));
    EXPECT_THAT(reading_fails(good.bin, changed(9, 2)), HasSubstr("has version 2"));
    EXPECT_THAT(reading_fails(good.bin, changed(17, 6)), HasSubstr("type code 6"));
    EXPECT_THAT(reading_fails(good.bin, changed(18, 1)), HasSubstr("its header speaks of"));
    EXPECT_THAT(reading_fails(good.bin, good.idx.substr(0, 50)), HasSubstr("can hold"));
    EXPECT_THAT(reading_fails(good.bin, good.idx.substr(0, 20)), HasSubstr("too short"));
    EXPECT_THAT(reading_fails(good.bin, changed(34, 77)), HasSubstr("does not end where the next begins"));
}

TEST(TokenFiles, DocumentsLongerThanWhatIsHeldAreReadWhole) {
    const ScratchDirectory scratch;
    MegatronDocuments documents;
    Ngrams expected;
    std::string separated;
    std::int64_t tokens = 0;
    // A file is held 2^16 tokens at a time: borders of documents fall before, on and behind those of the
    // pieces.
    for (const std::size_t length : {65533, 3, 1, 1, 200000, 2, 65536, 0, 65536, 70000}) {
        std::vector<TokenId> ids(length);
        for (std::size_t i = 0; i < length; ++i) ids[i] = static_cast<TokenId>(1 + (i * i + length) % 89);
        for (auto at = ids.begin(); ids.end() - at >= 3; ++at) ++expected[{at, at + 3}];
        for (const TokenId id : ids) append(separated, static_cast<std::uint16_t>(id));
        append(separated, std::uint16_t{0});
        tokens += std::ssize(ids);
        documents.push_back({std::move(ids)});
    }
    const auto bytes = megatron<std::uint16_t>(documents, 8);
    io::write_file(scratch / "m.bin", bytes.bin);
    io::write_file(scratch / "m.idx", bytes.idx);
    io::write_file(scratch / "s.bin", separated);
    for (const char* name : {"m.bin", "s.bin"}) {
        CorpusOptions options{.order = 3, .vocabulary = 100};
        if (*name == 's') options.separator = 0;
        const Reading reading = read_all({(scratch / name).string()}, options);
        EXPECT_EQ(reading.ngrams, expected) << name;
        EXPECT_EQ(reading.counts.tokens, tokens) << name;
        EXPECT_EQ(reading.counts.documents, 9) << name;
        EXPECT_EQ(reading.counts.bytes,
                  static_cast<std::int64_t>(std::filesystem::file_size(scratch / name)));
    }
}

TEST(MegatronFiles, TheIndexWrittenIsTheOneRead) {
    const ScratchDirectory scratch;
    MegatronDocuments documents;
    for (std::size_t d = 1; d < 5; ++d) documents.push_back({std::vector<TokenId>(d, 1)});
    write_megatron_index((scratch / "w.idx").string(), "uint16", std::vector<std::int32_t>{1, 2, 3, 4});
    EXPECT_EQ(io::read_file(scratch / "w.idx"), megatron<std::uint16_t>(documents, 8).idx);
}

/// Megatron's own tool wrote the file: our writer, given the same documents, leaves the same index, byte for
/// byte.
TEST(MegatronFiles, ARealIndexIsWrittenAgain) {
    const auto path = shared_data() / "openwebtext/meg-gpt2-openwebtext_text_document.idx";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    const std::string real = io::read_file(path);
    std::int64_t documents = 0;
    std::memcpy(&documents, real.data() + 18, sizeof(documents));
    std::vector<std::int32_t> lengths(static_cast<std::size_t>(documents));
    std::memcpy(lengths.data(), real.data() + 34, lengths.size() * sizeof(std::int32_t));
    const ScratchDirectory scratch;
    write_megatron_index((scratch / "again.idx").string(), "uint16", lengths);
    EXPECT_EQ(io::read_file(scratch / "again.idx"), real);
}

TEST(MegatronFiles, ARealFileIsReadToTheLastToken) {
    const auto path = shared_data() / "openwebtext/meg-gpt2-openwebtext_text_document.bin";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    const Corpus corpus =
        Corpus::open({path.string()}, {.order = 5, .vocabulary = 5000, .shard_bytes = 100000});
    ReadCounts counts;
    std::int64_t windows = 0;
    for (const Shard& shard : corpus.shards()) {
        const auto source = corpus.read(shard);
        for (TokenChunk chunk; source->next(chunk);)
            windows += std::max<std::int64_t>(0, std::ssize(chunk.tokens) - 4);
        counts += source->counts();
    }
    EXPECT_EQ(counts.documents, 1000);
    EXPECT_EQ(counts.tokens, static_cast<std::int64_t>(std::filesystem::file_size(path) / 2));
    EXPECT_EQ(counts.expected_ngrams, windows);
}

}  // namespace
}  // namespace eckart::text
