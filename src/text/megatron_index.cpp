#include "eckart/text/megatron_index.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/text/token_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace eckart::text {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view magic = "MMIDIDX\0\0"sv;
constexpr std::int64_t version = 1;
constexpr std::int64_t header_bytes = 9 + 8 + 1 + 8 + 8;

/// The format's code of a type; those that cannot hold ids (floating point) have no name here.
constexpr std::pair<std::uint8_t, std::string_view> type_codes[] = {
    {1, "uint8"}, {2, "int8"}, {3, "int16"}, {4, "int32"}, {5, "int64"}, {8, "uint16"}};

template <typename T>
T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
}

std::shared_ptr<const std::byte> map_file(const std::string& path) {
    const auto size = std::filesystem::file_size(path);
    require(static_cast<std::int64_t>(size) >= header_bytes,
            "{} is too short for a Megatron index ({} bytes)", path, size);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    require(file >= 0, "cannot open {}{}", path, io::cause_of(errno, path));
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    const int error = errno;
    ::close(file);
    require(memory != MAP_FAILED, "cannot map {}{}", path, io::cause_of(error, path));
    return {static_cast<const std::byte*>(memory),
            [memory, size](const std::byte*) { ::munmap(memory, size); }};
}

}  // namespace

MegatronIndex::MegatronIndex(const std::string& path, const std::string& bin_path, std::int64_t bin_bytes)
    : path_(path), bytes_(map_file(path)) {
    const std::byte* const header = bytes_.get();
    require(std::memcmp(header, magic.data(), magic.size()) == 0,
            "{} is not a Megatron index: it does not begin with MMIDIDX", path);
    require(load<std::int64_t>(header + 9) == version, "{} has version {} of the Megatron index, known is {}",
            path, load<std::int64_t>(header + 9), version);
    const auto code = load<std::uint8_t>(header + 17);
    const auto known = std::find_if(std::begin(type_codes), std::end(type_codes),
                                    [&](const auto& type) { return type.first == code; });
    require(known != std::end(type_codes),
            "{} says its .bin holds numbers of type code {}, which are no token ids", path, code);
    type_ = known->second;
    width_ = token_bytes(type_);
    sequences_ = load<std::int64_t>(header + 18);
    const auto borders = load<std::int64_t>(header + 26);
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
    require(sequences_ >= 0 && borders >= 1 && sequences_ <= size / 12 && borders <= size / 8,
            "{} speaks of {} sequences and {} document borders, more than its {} bytes can hold", path,
            sequences_, borders, size);
    const std::int64_t wanted = header_bytes + 12 * sequences_ + 8 * borders;
    // An index of several modalities ends with one more byte a sequence, which says nothing on the tokens.
    require(size == wanted || size == wanted + sequences_, "{} has {} bytes, its header speaks of {}", path,
            size, wanted);
    sizes_ = header + header_bytes;
    pointers_ = sizes_ + 4 * sequences_;
    borders_ = pointers_ + 8 * sequences_;
    documents_ = borders - 1;
    require(load<std::int64_t>(borders_) == 0 && load<std::int64_t>(borders_ + 8 * documents_) == sequences_,
            "{}: its documents do not cover its {} sequences", path, sequences_);
    tokens_ = bin_bytes / width_;
    const std::int64_t end = sequences_ == 0 ? 0 : sequence_end(sequences_ - 1);
    require(end == bin_bytes, "{} does not belong to {}: it describes {} bytes, the file has {}", path,
            bin_path, end, bin_bytes);
}

std::int64_t MegatronIndex::sequence_start(std::int64_t sequence) const {
    return sequence == sequences_ ? tokens_ : load<std::int64_t>(pointers_ + 8 * sequence) / width_;
}

/// In bytes; -1 for one that does not lie in the .bin.
std::int64_t MegatronIndex::sequence_end(std::int64_t sequence) const {
    const auto begin = load<std::int64_t>(pointers_ + 8 * sequence);
    const auto size = load<std::int32_t>(sizes_ + 4 * sequence);
    if (begin < 0 || begin % width_ != 0 || begin / width_ > tokens_ || size < 0) return -1;
    return begin + size * width_;
}

std::int64_t MegatronIndex::document_start(std::int64_t document) const {
    const auto sequence = load<std::int64_t>(borders_ + 8 * document);
    require(sequence >= 0 && sequence <= sequences_, "{}: document {} starts at sequence {} of {}", path_,
            document, sequence, sequences_);
    return sequence_start(sequence);
}

void MegatronIndex::check_sequences(std::int64_t first, std::int64_t last) const {
    for (std::int64_t i = first; i < last; ++i)
        require(sequence_end(i) == sequence_start(i + 1) * width_,
                "{}: sequence {} of {} tokens at byte {} does not end where the next begins", path_, i,
                load<std::int32_t>(sizes_ + 4 * i), load<std::int64_t>(pointers_ + 8 * i));
}

std::vector<std::int64_t> MegatronIndex::document_starts(std::int64_t begin, std::int64_t end) const {
    std::int64_t low = 0, high = documents_;  // the last document that starts at or before `begin`
    while (low < high) {
        const std::int64_t middle = low + (high - low + 1) / 2;
        if (document_start(middle) <= begin)
            low = middle;
        else
            high = middle - 1;
    }
    std::vector<std::int64_t> starts{document_start(low)};
    require(starts.front() <= begin, "{}: its first document starts at token {}", path_, starts.front());
    std::int64_t document = low;
    while (starts.back() < end && document < documents_) {
        starts.push_back(document_start(++document));
        require(starts.back() >= starts[starts.size() - 2], "{}: document {} ends before it starts", path_,
                document - 1);
    }
    check_sequences(load<std::int64_t>(borders_ + 8 * low), load<std::int64_t>(borders_ + 8 * document));
    return starts;
}

std::string index_path(const std::string& bin_path) {
    return std::filesystem::path(bin_path).replace_extension(".idx").string();
}

namespace {

template <typename T>
void append(std::string& bytes, T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

}  // namespace

void write_megatron_index(const std::string& path, const std::string& type,
                          std::span<const std::int32_t> lengths) {
    const auto code = std::find_if(std::begin(type_codes), std::end(type_codes),
                                   [&](const auto& known) { return known.second == type; });
    require(code != std::end(type_codes), "a Megatron index knows no type {}", type);
    const std::int64_t count = std::ssize(lengths), width = token_bytes(type);
    std::string bytes(magic);
    append(bytes, version);
    append(bytes, code->first);
    append(bytes, count);
    append(bytes, count + 1);
    bytes.reserve(bytes.size() + static_cast<std::size_t>(20 * count + 8));
    for (const std::int32_t length : lengths) append(bytes, length);
    std::int64_t pointer = 0;
    for (const std::int32_t length : lengths) {
        append(bytes, pointer);
        pointer += length * width;
    }
    for (std::int64_t border = 0; border <= count; ++border) append(bytes, border);
    io::write_file(path, bytes);
}

}  // namespace eckart::text
