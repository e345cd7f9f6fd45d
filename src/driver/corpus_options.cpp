#include "eckart/driver/corpus_options.hpp"

#include "eckart/base/error.hpp"

namespace eckart::driver {

po::options_description corpus_options() {
    const auto text = [](const char* by_default, const char* name) {
        return po::value<std::string>()->default_value(by_default)->value_name(name);
    };
    po::options_description corpus("Corpus");
    auto add = corpus.add_options();
    add("corpus", po::value<std::vector<std::string>>()->required()->value_name("PATH..."),
        "text (.txt) and JSON lines (.jsonl), also .gz and .zst; token files (.bin, .npy; with an .idx "
        "Megatron's); directories and patterns");
    add("tokenizer", text("", "FILE"),
        "SentencePiece .model or Hugging Face tokenizer.json; without it text is cut to words");
    add("vocabulary", po::value<std::int64_t>()->default_value(0)->value_name("N"),
        "words to keep (default 32000), or the bound of the ids in token files");
    add("token-type", text("uint16", "TYPE"), "of flat .bin files: uint16 or uint32");
    add("separator", po::value<std::int64_t>()->value_name("ID"),
        "token that ends a document; it is in no n-gram");
    add("document-start", text("", "TOKEN"), "put before every document of text, e.g. <s> (default none)");
    add("document-end", text("", "TOKEN"), "put behind every document of text, e.g. </s> (default none)");
    add("documents", text("file", "WHAT"), "of plain text: file or lines");
    add("field", text("text", "NAME"), "of JSON lines: the text's field");
    add("on-error", text("fail", "WHAT"), "malformed documents: fail or skip");
    return corpus;
}

text::CorpusOptions read_corpus_options(const Command& command) {
    const auto documents = command.get<std::string>("documents"),
               on_error = command.get<std::string>("on-error");
    if (documents != "file" && documents != "lines")
        throw UsageError("--documents is file or lines, not {}", documents);
    if (on_error != "fail" && on_error != "skip")
        throw UsageError("--on-error is fail or skip, not {}", on_error);
    text::CorpusOptions result;
    result.tokenizer = command.get<std::string>("tokenizer");
    result.vocabulary = command.get<std::int64_t>("vocabulary");
    result.token_type = command.get<std::string>("token-type");
    if (command.has("separator")) result.separator = command.get<std::int64_t>("separator");
    result.document_start = command.get<std::string>("document-start");
    result.document_end = command.get<std::string>("document-end");
    result.documents = documents == "file" ? text::Documents::file : text::Documents::lines;
    result.field = command.get<std::string>("field");
    result.on_error = on_error == "fail" ? text::OnError::fail : text::OnError::skip;
    return result;
}

}  // namespace eckart::driver
