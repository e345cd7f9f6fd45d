// Whatever bytes a file holds, reading it ends: with documents or tokens, or with an Error.

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/text/document_reader.hpp"
#include "eckart/text/megatron_index.hpp"
#include "eckart/text/token_file.hpp"
#include "eckart/text/tokenizer.hpp"
#include "scratch_directory.hpp"
#include "text/reading.hpp"

#include <fstream>
#include <functional>
#include <random>

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

namespace eckart::text {
namespace {

class Damaged : public testing::Test {
protected:
    ScratchDirectory scratch;
    std::mt19937 random{17};

    std::string damage(std::string bytes) {
        for (std::size_t i = random() % 4; i > 0 && !bytes.empty(); --i)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
        if (random() % 8 == 0)
            bytes.insert(random() % (bytes.size() + 1),
                         std::string(random() % 9, static_cast<char>(random())));
        return bytes;
    }
    /// Reads many damaged copies of `bytes`; how many of them were refused.
    int refusals(const std::string& name, const std::string& bytes, int copies,
                 const std::function<void(const std::string&)>& read) {
        int refused = 0;
        for (int i = 0; i < copies; ++i) {
            const std::string path = (scratch / name).string();
            std::ofstream(path, std::ios::binary | std::ios::trunc) << damage(bytes);  // not synced: many
            try {
                read(path);
            } catch (const Error&) {
                ++refused;
            }
        }
        return refused;
    }
    static void read_documents(const std::string& path, Format format, OnError on_error) {
        CorpusOptions options;
        options.on_error = on_error;
        const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
        for (const std::int64_t begin : {std::int64_t{0}, size / 2}) {
            if (begin > 0 && (path.ends_with(".gz") || path.ends_with(".zst"))) continue;
            const auto reader = open_documents(path, format, {.begin = begin, .end = size}, options);
            for (std::string_view document; reader->next(document);) {
            }
        }
    }
    static std::string lines() {
        std::string text;
        for (int i = 0; i < 50; ++i)
            text += R"({"meta": [1, {"a": null}], "text": "caf\u00e9 \ud83d\ude42 )" + std::to_string(i) +
                    "\"}\r\n";
        return text;
    }
};

TEST_F(Damaged, TextIsReadOrRefused) {
    std::string zst(ZSTD_compressBound(lines().size()), '\0');
    zst.resize(ZSTD_compress(zst.data(), zst.size(), lines().data(), lines().size(), 3));
    for (const OnError on_error : {OnError::fail, OnError::skip}) {
        const auto json = [&](const std::string& path) {
            read_documents(path, Format::json_lines, on_error);
        };
        EXPECT_GT(refusals("a.jsonl", lines(), 150, json) + (on_error == OnError::skip), 0);
        EXPECT_GT(refusals("a.jsonl.zst", zst, 150, json) + (on_error == OnError::skip), 0);
        refusals("a.txt", "plain \u00e9\n\n\u4e2d\r\nlast", 100,
                 [&](const std::string& path) { read_documents(path, Format::text_lines, on_error); });
    }
}

TEST_F(Damaged, TokenFilesAreReadOrRefused) {
    const std::string bin = (scratch / "m.bin").string(), ids(2 * 10, '\1');
    io::write_file(bin, ids);
    write_megatron_index((scratch / "good.idx").string(), "uint16", std::vector<std::int32_t>{4, 0, 6});
    const std::string index = io::read_file(scratch / "good.idx");
    EXPECT_GT(refusals("m.idx", index, 400,
                       [&](const std::string& path) {
                           const auto documents =
                               std::make_shared<const MegatronIndex>(path, bin, std::ssize(ids));
                           const TokenLayout layout = flat_layout(bin, documents->token_type());
                           for (const std::int64_t begin : {std::int64_t{0}, layout.count / 2}) {
                               const auto source =
                                   open_tokens(bin, layout, begin, layout.count,
                                               {.order = 3, .vocabulary = 300, .documents = documents});
                               for (TokenChunk chunk; source->next(chunk);) {
                               }
                           }
                       }),
              0);
    std::string npy = std::string("\x93NUMPY\1\0", 8) + std::string("\x46\0", 2) +
                      "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }";
    npy += std::string(80 - npy.size(), ' ') + std::string(12, '\1');
    EXPECT_GT(refusals("a.npy", npy, 400, [](const std::string& path) { read_npy_layout(path); }), 0);
}

TEST_F(Damaged, TokenizersAreLoadedOrRefused) {
    const std::string small =
        R"({"version": "1.0", "added_tokens": [{"id": 2, "content": "<x>"}], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "first", "split": false},
        "model": {"type": "BPE", "byte_fallback": true, "vocab": {"a": 0, "b": 1, "ab": 3}, "merges": [["a", "b"]]}})";
    EXPECT_GT(refusals("t.json", small, 300, [](const std::string& path) { load_tokenizer(path); }), 0);
    const auto model = shared_data() / "tokenizers/llama2_tokenizer.model";
    if (!std::filesystem::exists(model)) return;
    refusals("t.model", io::read_file(model).substr(0, 20000), 30,
             [](const std::string& path) { load_tokenizer(path); });
}

}  // namespace
}  // namespace eckart::text
