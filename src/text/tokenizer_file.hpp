#pragma once

#include "eckart/base/error.hpp"
#include "eckart/text/bpe.hpp"
#include "eckart/text/tokenizer.hpp"

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::text {

/// A tokenizer.json, part by part. What is not known is refused by name: a part that is passed over would
/// give other ids than the reference.
class TokenizerFile {
public:
    using json = nlohmann::json;

    /// Reads and checks all that does not depend on the kind of tokenizer. Throws `Error` naming path and
    /// part.
    explicit TokenizerFile(const std::string& path);

    template <typename... Args>
    void check(bool holds, fmt::format_string<Args...> text, Args&&... args) const {
        if (!holds) throw Error("{} {}", path_, fmt::format(text, std::forward<Args>(args)...));
    }
    json part(const std::string& name) const { return file_.value(name, json()); }
    const json& model() const { return file_.at("model"); }
    std::string type_of(const std::string& name) const {
        const json value = part(name);
        return value.is_object() ? value.value("type", "") : "";
    }
    /// Refuses settings of a part that are not among `known`.
    void check_settings(const std::string& name, std::initializer_list<std::string_view> known) const;
    const std::unordered_map<std::string, TokenId>& vocabulary() const { return vocabulary_; }
    const std::vector<std::string>& pieces() const { return pieces_; }
    TokenId id(const std::string& piece) const;

    /// Calls `rule(left, right)` with the two pieces of every merge, best first.
    void for_each_merge(const std::function<void(const std::string&, const std::string&)>& rule) const;
    std::vector<Merge> merges() const;

private:
    void check_harmless(const std::string& name, const json& value) const;
    void check_model() const;
    void read_vocabulary();
    void take_id(const std::string& piece, const json& value);

    std::string path_;
    json file_;
    std::unordered_map<std::string, TokenId> vocabulary_;
    std::vector<std::string> pieces_;
};

}  // namespace eckart::text
