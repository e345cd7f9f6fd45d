// Text to token ids: our encoders against libsentencepiece's own, on the same text, in one process.
//
// ECKART_BENCH_TEXT names a corpus (default: the film reviews of ../shared/data, or else made-up prose);
// ECKART_BENCH_TOKENIZERS a directory with llama2_tokenizer.model and 20B_tokenizer.json.

#include "eckart/text/tokenizer.hpp"

#include "eckart/text/corpus.hpp"
#include "eckart/text/document_reader.hpp"
#include "eckart/text/words.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

using namespace eckart;
namespace fs = std::filesystem;

namespace {

fs::path place(const char* variable, const char* otherwise) {
    const char* const value = std::getenv(variable);
    return value != nullptr ? value : otherwise;
}

/// Documents of the corpus, about `bytes` of text.
std::vector<std::string> documents(std::size_t bytes) {
    const fs::path path = place("ECKART_BENCH_TEXT", "../shared/data/imdb_train75k.jsonl.zst");
    std::vector<std::string> result;
    std::size_t size = 0;
    if (fs::exists(path)) {
        const auto reader = text::open_documents(
            path.string(), text::Format::json_lines,
            {.begin = 0, .end = static_cast<std::int64_t>(fs::file_size(path))}, text::CorpusOptions{});
        for (std::string_view document; size < bytes && reader->next(document); size += document.size())
            result.emplace_back(document);
    }
    for (unsigned word = 0; size < bytes; size += result.back().size()) {
        std::string prose;
        for (int i = 0; i < 300; ++i) {
            word = word * 1664525u + 1013904223u;
            const unsigned rank = (word >> 8) % ((word >> 4) % 5000 + 1);  // few words are frequent
            prose += "word" + std::to_string(rank) + (i % 9 == 8 ? ". " : " ");
        }
        result.push_back(prose);
    }
    return result;
}

void encode_all(benchmark::State& state, text::Tokenizer& tokenizer, const std::vector<std::string>& texts) {
    std::vector<text::TokenId> tokens;
    std::int64_t bytes = 0, count = 0;
    for (const std::string& document : texts) {  // warms the cache
        tokens.clear();
        tokenizer.encode(document, tokens);
    }
    for (auto _ : state) {
        for (const std::string& document : texts) {
            tokens.clear();
            tokenizer.encode(document, tokens);
            bytes += std::ssize(document);
            count += std::ssize(tokens);
        }
        benchmark::DoNotOptimize(tokens.data());
    }
    state.SetBytesProcessed(bytes);
    state.SetItemsProcessed(count);
}

const std::vector<std::string>& corpus() {
    static const auto texts = documents(std::size_t{32} << 20);
    return texts;
}

void register_all() {
    const fs::path directory = place("ECKART_BENCH_TOKENIZERS", "../shared/data/tokenizers");
    const auto add = [](const std::string& name, std::shared_ptr<text::Tokenizer> tokenizer,
                        std::size_t documents) {
        benchmark::RegisterBenchmark(name.c_str(), [tokenizer, documents](benchmark::State& state) {
            const auto& all = corpus();
            encode_all(
                state, *tokenizer,
                {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(documents, all.size()))});
        })->Unit(benchmark::kMillisecond);
    };
    constexpr std::size_t few = 2000, every = ~std::size_t{0} >> 1;
    const std::string llama = (directory / "llama2_tokenizer.model").string(),
                      llama_json = (directory / "llama2_tokenizer.json").string(),
                      neox = (directory / "20B_tokenizer.json").string();
    if (fs::exists(llama)) {
        add("libsentencepiece/llama2.model", text::load_sentencepiece_reference(llama), few);
        add("eckart/llama2.model", text::load_sentencepiece(llama), every);
    }
    if (fs::exists(llama_json)) add("eckart/llama2.json", text::load_tokenizer(llama_json), every);
    if (fs::exists(neox)) add("eckart/neox.json", text::load_tokenizer(neox), every);
    text::WordCounts counts;
    const text::WordSegmenter segmenter;
    for (std::size_t i = 0; i < std::min(few, corpus().size()); ++i)
        text::count_words(segmenter, corpus()[i], counts);
    add("eckart/words", text::make_word_tokenizer(text::most_frequent(counts, 32000)), every);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    register_all();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
