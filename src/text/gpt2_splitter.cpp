#include "eckart/text/gpt2_splitter.hpp"

#include "eckart/text/bpe.hpp"

#include <unicode/uchar.h>

namespace eckart::text {

namespace {

/// Bytes of a contraction ('s, 't, 're, 've, 'm, 'll, 'd) at `at`, or 0.
std::size_t contraction(std::string_view text, std::size_t at) {
    for (const std::string_view suffix : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
        if (text.substr(at, suffix.size()) == suffix) return suffix.size();
    return 0;
}

}  // namespace

Gpt2Splitter::Gpt2Splitter() : classes_(UCHAR_MAX_VALUE + 1) {
    for (UChar32 c = 0; c <= UCHAR_MAX_VALUE; ++c) {
        const std::uint32_t mask = U_GET_GC_MASK(c);
        classes_[static_cast<std::size_t>(c)] = (mask & U_GC_L_MASK) != 0   ? Class::letter
                                                : (mask & U_GC_N_MASK) != 0 ? Class::number
                                                : u_isUWhiteSpace(c)        ? Class::space
                                                                            : Class::other;
    }
}

Gpt2Splitter::Class Gpt2Splitter::take(std::string_view text, std::size_t& at) const {
    return classes_[next_code_point(text, at)];
}

std::size_t Gpt2Splitter::run_end(std::string_view text, std::size_t at, Class which) const {
    while (at < text.size()) {
        std::size_t after = at;
        if (take(text, after) != which) break;
        at = after;
    }
    return at;
}

std::size_t Gpt2Splitter::word_end(std::string_view text, std::size_t begin) const {
    if (text[begin] == '\'')
        if (const std::size_t bytes = contraction(text, begin); bytes > 0) return begin + bytes;
    std::size_t at = begin;
    Class first = take(text, at);
    if (text[begin] == ' ' && at < text.size()) {  // a space belongs to the word behind it
        std::size_t after = at;
        if (const Class next = take(text, after); next != Class::space) first = next, at = after;
    }
    if (first != Class::space) return run_end(text, at, first);
    // White space: to the end of the text, or all but the last, which the next word may want.
    std::size_t last = begin;
    while (at < text.size()) {
        std::size_t after = at;
        if (take(text, after) != Class::space) return last == begin ? at : last;
        last = at;
        at = after;
    }
    return at;
}

}  // namespace eckart::text
