#include "tokenizer_file.hpp"

#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <set>

namespace eckart::text {

namespace {

using nlohmann::json;

using Names = std::initializer_list<std::string_view>;

bool is_one_of(const std::string& name, Names known) {
    return std::find(known.begin(), known.end(), name) != known.end();
}

/// The JSON of a file, or a discarded value; `repeated` gets a name that an object holds twice.
json parse(const std::string& text, std::string& repeated) {
    std::vector<std::set<std::string>> names;  // of the objects around
    return json::parse(
        text,
        [&](int, json::parse_event_t event, json& value) {
            if (event == json::parse_event_t::object_start) names.emplace_back();
            if (event == json::parse_event_t::object_end) names.pop_back();
            if (event == json::parse_event_t::key)
                if (const auto& name = value.get_ref<const std::string&>(); !names.back().insert(name).second)
                    repeated = name;
            return true;
        },
        false);
}

}  // namespace

TokenizerFile::TokenizerFile(const std::string& path) : path_(path) {
    std::string repeated;
    file_ = parse(io::read_file(path), repeated);
    check(file_.is_object() && file_.contains("model") && model().is_object(), "is not a tokenizer.json");
    check(repeated.empty(), "holds \"{}\" twice", repeated);
    const Names known = {"version",       "truncation",     "padding", "added_tokens", "normalizer",
                         "pre_tokenizer", "post_processor", "decoder", "model"};
    for (const auto& [name, part] : file_.items())
        check(is_one_of(name, known), "has a part \"{}\" that is not known", name);
    for (const char* name : {"truncation", "padding"})
        check(part(name).is_null(), "sets {}, which is not supported", name);
    for (const char* name : {"post_processor", "decoder"}) check_harmless(name, part(name));
    check_model();
    read_vocabulary();
}

void TokenizerFile::check_settings(const std::string& name, Names known) const {
    const json settings = part(name);
    for (const auto& [setting, value] : settings.items())
        check(is_one_of(setting, known), "has a setting \"{}\" of its {} that is not known", setting, name);
}

TokenId TokenizerFile::id(const std::string& piece) const {
    const auto found = vocabulary_.find(piece);
    check(found != vocabulary_.end(), "has no piece \"{}\" in its vocabulary", piece);
    return found->second;
}

void TokenizerFile::for_each_merge(
    const std::function<void(const std::string&, const std::string&)>& rule) const {
    for (const json& merge : model().at("merges")) {
        if (merge.is_array() && merge.size() == 2) {
            rule(merge[0].get<std::string>(), merge[1].get<std::string>());
            continue;
        }
        check(merge.is_string(), "has a merge that is neither a pair nor a text");
        const auto text = merge.get<std::string>();
        const std::size_t space = text.find(' ');
        check(space != std::string::npos, "has a merge \"{}\" that is no pair", text);
        rule(text.substr(0, space), text.substr(space + 1));
    }
}

std::vector<Merge> TokenizerFile::merges() const {
    std::vector<Merge> merges;
    for_each_merge([&](const std::string& left, const std::string& right) {
        merges.push_back({id(left), id(right), id(left + right), static_cast<std::uint32_t>(merges.size())});
    });
    return merges;
}

/// Decoders do not touch ids; post-processors add tokens around a text, which Eckart leaves to its own
/// options.
void TokenizerFile::check_harmless(const std::string& name, const json& value) const {
    if (value.is_null()) return;
    const std::string type = value.value("type", "");
    const Names known = {"ByteLevel", "TemplateProcessing", "Sequence", "Replace", "ByteFallback", "Fuse",
                         "Strip",     "Metaspace"};
    check(is_one_of(type, known), "has a {} \"{}\" that is not known", name, type);
    for (const char* list : {"decoders", "processors"})
        for (const json& inner : value.value(list, json::array())) check_harmless(name, inner);
}

void TokenizerFile::check_model() const {
    const json& bpe = model();
    check(bpe.value("type", "BPE") == "BPE", "has a model \"{}\"; only BPE is supported",
          bpe.value("type", ""));
    // No text is unknown to the tokenizers that are supported, so what stands for it does not matter.
    const Names read = {"type", "vocab", "merges", "byte_fallback", "unk_token", "fuse_unk"};
    const Names optional = {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"};
    for (const auto& [name, value] : bpe.items()) {
        if (is_one_of(name, read)) continue;
        check(is_one_of(name, optional), "has a setting \"{}\" of its model that is not known", name);
        check(value.is_null() || value == false || value == "" || value == 0.0,
              "sets {} of its model, which is not supported", name);
    }
    check(bpe.contains("vocab") && bpe.at("vocab").is_object() && bpe.contains("merges") &&
              bpe.at("merges").is_array(),
          "has a model without vocab or merges");
}

void TokenizerFile::read_vocabulary() {
    for (const auto& [piece, value] : model().at("vocab").items()) take_id(piece, value);
    for (const json& token : part("added_tokens")) {
        const auto content = token.at("content").get<std::string>();
        check(!content.empty(), "has an added token without text");
        for (const char* flag : {"single_word", "lstrip", "rstrip"})
            check(!token.value(flag, false), "has an added token \"{}\" with {}, which is not supported",
                  content, flag);
        const auto found = vocabulary_.find(content);
        if (found == vocabulary_.end())
            take_id(content, token.at("id"));
        else
            check(token.at("id") == found->second, "has two ids for \"{}\"", content);
    }
}

void TokenizerFile::take_id(const std::string& piece, const json& value) {
    constexpr std::int64_t most = std::int64_t{1} << 21;
    check(value.is_number_integer() && value >= 0 && value < most, "gives \"{}\" the id {}", piece,
          value.dump());
    check(!piece.empty(), "has an empty piece");
    const auto id = value.get<TokenId>();
    if (id >= pieces_.size()) pieces_.resize(id + 1);
    check(pieces_[id].empty(), "gives the id {} to \"{}\" and to \"{}\"", id, pieces_[id], piece);
    pieces_[id] = piece;
    vocabulary_.emplace(piece, id);
}

}  // namespace eckart::text
