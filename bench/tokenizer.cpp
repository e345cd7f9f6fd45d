// Text to token ids: our encoders, their caches warm, against libsentencepiece's own Encode, on the same text
// in one process. Before anything is timed, our ids are held against the library's.
//
// ECKART_BENCH_DATA names a directory like ../shared/data (the default): corpora, and tokenizers in
// tokenizers/. Without it, made-up prose is cut to words.

#include "eckart/text/tokenizer.hpp"

#include "eckart/base/error.hpp"
#include "eckart/text/corpus.hpp"
#include "eckart/text/document_reader.hpp"
#include "eckart/text/words.hpp"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

using namespace eckart;
namespace fs = std::filesystem;

namespace {

using Texts = std::vector<std::string>;
constexpr std::size_t megabyte = 1000000;

fs::path data() {
    const char* const place = std::getenv("ECKART_BENCH_DATA");
    return place != nullptr ? place : "../shared/data";
}

/// Documents of a corpus, about `bytes` of text.
Texts documents(const fs::path& path, std::size_t bytes) {
    const auto reader =
        text::open_documents(path.string(), text::Format::json_lines,
                             {.begin = 0, .end = static_cast<std::int64_t>(fs::file_size(path))}, {});
    Texts texts;
    std::size_t size = 0;
    for (std::string_view document; size < bytes && reader->next(document); size += document.size())
        texts.emplace_back(document);
    return texts;
}

/// The same without a corpus: words of which few are frequent.
Texts made_up_prose(std::size_t bytes) {
    Texts texts;
    unsigned draw = 0;
    for (std::size_t size = 0; size < bytes; size += texts.back().size()) {
        std::string prose;
        for (int i = 0; i < 300; ++i) {
            draw = draw * 1664525u + 1013904223u;
            const unsigned rank = (draw >> 8) % ((draw >> 4) % 5000 + 1);
            prose += "word" + std::to_string(rank) + (i % 9 == 8 ? ". " : " ");
        }
        texts.push_back(prose);
    }
    return texts;
}

void encode_all(benchmark::State& state, text::Tokenizer& tokenizer, const Texts& texts) {
    std::vector<text::TokenId> tokens;
    std::int64_t bytes = 0, count = 0;
    const auto pass = [&] {
        for (const std::string& document : texts) {
            tokens.clear();
            tokenizer.encode(document, tokens);
            bytes += std::ssize(document);
            count += std::ssize(tokens);
        }
    };
    pass();  // warms the cache
    bytes = count = 0;
    for (auto _ : state) {
        pass();
        benchmark::DoNotOptimize(tokens.data());
    }
    state.SetBytesProcessed(bytes);
    state.SetItemsProcessed(count);
}

void require_same_ids(text::Tokenizer& ours, text::Tokenizer& reference, const Texts& texts) {
    for (const std::string& document : texts) {
        std::vector<text::TokenId> ids, expected;
        ours.encode(document, ids);
        reference.encode(document, expected);
        require(ids == expected, "our ids are not libsentencepiece's on: {}", document.substr(0, 200));
    }
}

void add(const std::string& name, std::shared_ptr<text::Tokenizer> tokenizer,
         std::shared_ptr<const Texts> texts) {
    benchmark::RegisterBenchmark(name.c_str(), [tokenizer, texts](benchmark::State& state) {
        encode_all(state, *tokenizer, *texts);
    })->Unit(benchmark::kMillisecond);
}

/// The library gets less text: it is slow, and its speed does not depend on the amount.
void add_all(const std::string& corpus, const fs::path& path) {
    const fs::path tokenizers = data() / "tokenizers";
    const auto texts = std::make_shared<const Texts>(documents(path, 48 * megabyte)),
               few = std::make_shared<const Texts>(documents(path, 3 * megabyte));
    const std::shared_ptr reference =
                              text::load_sentencepiece_reference(tokenizers / "llama2_tokenizer.model"),
                          llama = text::load_sentencepiece(tokenizers / "llama2_tokenizer.model");
    require_same_ids(*llama, *reference, *few);
    add(corpus + "/libsentencepiece, llama2.model", reference, few);
    add(corpus + "/eckart, llama2.model", llama, texts);
    add(corpus + "/eckart, llama2.json", text::load_tokenizer(tokenizers / "llama2_tokenizer.json"), texts);
    add(corpus + "/eckart, neox.json", text::load_tokenizer(tokenizers / "20B_tokenizer.json"), texts);
}

void add_words() {
    const auto texts = std::make_shared<const Texts>(made_up_prose(16 * megabyte));
    text::WordCounts counts;
    const text::WordSegmenter segmenter;
    for (std::size_t i = 0; i < std::min<std::size_t>(2000, texts->size()); ++i)
        text::count_words(segmenter, (*texts)[i], counts);
    add("prose/eckart, words", text::make_word_tokenizer(text::most_frequent(counts, 32000)), texts);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    add_words();
    if (fs::exists(data() / "tokenizers")) {
        add_all("reviews", data() / "imdb_train75k.jsonl.zst");
        add_all("books", data() / "books_dev.jsonl.zst");
    } else {
        std::cerr << "no corpora in " << data() << ": words only\n";
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
