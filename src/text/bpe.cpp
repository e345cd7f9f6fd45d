#include "eckart/text/bpe.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <bit>
#include <queue>

namespace eckart::text {

MergeTable::MergeTable(std::span<const Merge> merges)
    : slots_(std::bit_ceil(std::max<std::size_t>(16, 2 * merges.size()))), mask_(slots_.size() - 1) {
    for (const Merge& merge : merges) {
        const std::uint64_t key = key_of(merge.left, merge.right);
        std::size_t slot = slot_of(key);
        while (slots_[slot].key != none && slots_[slot].key != key) slot = (slot + 1) & mask_;
        slots_[slot] = {.key = key, .value = std::uint64_t{merge.priority} << 32 | merge.merged};
    }
}

Bpe::Bpe(Alphabet alphabet, std::span<const Merge> merges)
    : alphabet_(std::move(alphabet)), merges_(merges) {}

void Bpe::begin(std::string_view text) {
    symbols_.clear();
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const auto found = alphabet_.characters.find(next_code_point(text, at));
        if (found != alphabet_.characters.end())
            symbols_.push_back(found->second);
        else
            for (std::size_t i = start; i < at; ++i)
                symbols_.push_back(alphabet_.bytes[static_cast<unsigned char>(text[i])]);
    }
}

void Bpe::encode(std::string_view text, std::vector<TokenId>& tokens) {
    constexpr std::size_t few = 128;
    begin(text);
    if (symbols_.size() <= few)
        merge_few();
    else
        merge_many();
    tokens.insert(tokens.end(), symbols_.begin(), symbols_.end());
}

/// Looks over all pairs for the next merge: no bookkeeping, fastest for words.
void Bpe::merge_few() {
    rules_.clear();
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i)
        rules_.push_back(merges_.find(symbols_[i], symbols_[i + 1]));
    const auto before = [](std::uint64_t a, std::uint64_t b) { return a >> 32 < b >> 32; };
    while (!rules_.empty()) {
        const auto best = std::min_element(rules_.begin(), rules_.end(), before);
        if (*best == MergeTable::none) break;
        const auto at = static_cast<std::size_t>(best - rules_.begin());
        symbols_[at] = static_cast<TokenId>(*best);
        symbols_.erase(symbols_.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        rules_.erase(best);
        if (at > 0) rules_[at - 1] = merges_.find(symbols_[at - 1], symbols_[at]);
        if (at < rules_.size()) rules_[at] = merges_.find(symbols_[at], symbols_[at + 1]);
    }
}

/// The same with a queue of pairs. A pair in the queue that has changed since is passed over.
void Bpe::merge_many() {
    struct Pair {
        std::uint64_t rule;
        std::uint32_t at;
        TokenId left, right;
        bool operator<(const Pair& other) const {  // the greatest is next
            return rule >> 32 != other.rule >> 32 ? rule >> 32 > other.rule >> 32 : at > other.at;
        }
    };
    constexpr std::uint32_t end = ~std::uint32_t{0};
    require(symbols_.size() < end, "a piece of text of {} symbols without a place to cut it is too long",
            symbols_.size());
    const auto count = static_cast<std::uint32_t>(symbols_.size());
    std::vector<std::uint32_t> previous(count), next(count);
    std::vector<bool> gone(count);
    std::priority_queue<Pair> pairs;
    const auto consider = [&](std::uint32_t at) {
        const TokenId left = symbols_[at], right = symbols_[next[at]];
        if (const auto rule = merges_.find(left, right); rule != MergeTable::none)
            pairs.push({rule, at, left, right});
    };
    for (std::uint32_t i = 0; i < count; ++i) {
        previous[i] = i == 0 ? end : i - 1;
        next[i] = i + 1 == count ? end : i + 1;
    }
    for (std::uint32_t i = 0; i + 1 < count; ++i) consider(i);
    while (!pairs.empty()) {
        const Pair pair = pairs.top();
        pairs.pop();
        if (gone[pair.at] || symbols_[pair.at] != pair.left || next[pair.at] == end ||
            symbols_[next[pair.at]] != pair.right)
            continue;
        const std::uint32_t absorbed = next[pair.at];
        symbols_[pair.at] = static_cast<TokenId>(pair.rule);
        gone[absorbed] = true;
        next[pair.at] = next[absorbed];
        if (next[pair.at] != end) {
            previous[next[pair.at]] = pair.at;
            consider(pair.at);
        }
        if (previous[pair.at] != end) consider(previous[pair.at]);
    }
    std::size_t kept = 0;
    for (std::uint32_t i = 0; i < count; ++i)
        if (!gone[i]) symbols_[kept++] = symbols_[i];
    symbols_.resize(kept);
}

Seams Seams::within_characters() {
    Seams seams;
    for (unsigned left = 0x80; left < 0x100; ++left)
        for (unsigned right = 0x80; right < 0xc0; ++right)
            seams.join(static_cast<unsigned char>(left), static_cast<unsigned char>(right));
    return seams;
}

}  // namespace eckart::text
