#include "eckart/matrix/block_file.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

namespace eckart::matrix {

namespace {

constexpr int format_version = 1;

/// Writes numbers in the narrowest of the types that holds them all; readers get them converted.
template <typename Narrow, typename... Wider, typename T>
void write_narrow(io::Hdf5File& file, const std::string& name, const std::vector<T>& values,
                  const io::DatasetOptions& options) {
    if constexpr (std::is_same_v<Narrow, T>) {
        file.write(name, values, {}, options);
    } else {
        const T most = values.empty() ? T{0} : *std::max_element(values.begin(), values.end());
        if (std::cmp_less_equal(most, std::numeric_limits<Narrow>::max()))
            file.write(name, std::vector<Narrow>(values.begin(), values.end()), {}, options);
        else
            write_narrow<Wider...>(file, name, values, options);
    }
}

}  // namespace

BlockFileWriter::BlockFileWriter(const std::filesystem::path& directory, std::int64_t file_number,
                                 const nlohmann::json& provenance, int deflate_level)
    : pending_(directory / block_file_name(file_number)),
      file_(io::Hdf5File::create(pending_.partial())),
      name_(block_file_name(file_number)),
      deflate_level_(deflate_level) {
    file_.set_attribute("/", "format", "eckart-matrix-blocks");
    file_.set_attribute("/", "format_version", std::int64_t{format_version});
    file_.set_attribute("/", "provenance", provenance.dump());
}

void BlockFileWriter::add(std::int64_t number, const CsrBlock& block) {
    const std::string group = block_group_name(number);
    const std::vector<std::int64_t> shape{block.rows(), block.columns};
    const io::DatasetOptions options{.deflate_level = deflate_level_};
    file_.create_group(group);
    write_narrow<std::uint32_t, std::uint64_t>(file_, group + "/data", block.data, options);
    file_.write(group + "/indices", block.indices, {}, options);
    file_.write(group + "/indptr", block.indptr, {}, options);
    file_.write(group + "/shape", shape);
    write_narrow<std::int32_t, std::int64_t>(file_, group + "/multiplicity", block.multiplicity, options);
    write_narrow<std::int32_t, std::int64_t>(file_, group + "/weight", block.weight, options);
    file_.set_attribute(group, "encoding-type", "csr_matrix");
    file_.set_attribute(group, "encoding-version", "0.1.0");
    file_.set_attribute(group, "shape", std::span<const std::int64_t>(shape));
    const Digest digest = digest_of(block);
    file_.set_attribute(group, "digest", digest.hex());
    entries_.push_back({.file = name_,
                        .group = group,
                        .rows = block.rows(),
                        .nonzeros = block.nonzeros(),
                        .digest = digest});
}

std::vector<BlockEntry> BlockFileWriter::commit() {
    file_.close();
    pending_.commit();
    return std::move(entries_);
}

CsrBlock read_block(const std::filesystem::path& directory, const BlockEntry& entry, std::int64_t columns) {
    const io::Hdf5File file = io::Hdf5File::open(directory / entry.file);
    const std::string& group = entry.group;
    CsrBlock block;
    block.columns = columns;
    block.indptr = file.read<std::int64_t>(group + "/indptr");
    block.indices = file.read<std::int32_t>(group + "/indices");
    block.data = file.read<std::uint64_t>(group + "/data");
    block.multiplicity = file.read<std::int64_t>(group + "/multiplicity");
    block.weight = file.read<std::int64_t>(group + "/weight");
    const std::string name = fmt::format("{} {}", (directory / entry.file).string(), group);
    require(digest_of(block) == entry.digest,
            "{}: the block is not the one that was written (its digest differs from the manifest's)", name);
    require_well_formed(block, name);
    return block;
}

void write_columns(const std::filesystem::path& directory, const Columns& columns) {
    io::PendingFile pending(directory / columns_name);
    io::Hdf5File file = io::Hdf5File::create(pending.partial());
    file.set_attribute("/", "format", "eckart-matrix-columns");
    file.set_attribute("/", "format_version", std::int64_t{format_version});
    file.write("token_ids", columns.token_ids);
    file.write("one_hot_multiplicity", columns.one_hot_multiplicity);
    file.write("one_hot_weight", columns.one_hot_weight);
    if (!columns.pieces.empty()) file.write_strings("pieces", columns.pieces);
    file.close();
    pending.commit();
}

Columns read_columns(const std::filesystem::path& directory) {
    const io::Hdf5File file = io::Hdf5File::open(directory / columns_name);
    Columns columns{.token_ids = file.read<std::int64_t>("token_ids"),
                    .one_hot_multiplicity = file.read<std::int64_t>("one_hot_multiplicity"),
                    .one_hot_weight = file.read<std::int64_t>("one_hot_weight"),
                    .pieces = {}};
    if (file.exists("pieces")) columns.pieces = file.read_strings("pieces");
    const auto size = columns.token_ids.size();
    require(columns.one_hot_multiplicity.size() == size && columns.one_hot_weight.size() == size,
            "{}: arrays of unequal length", file.path().string());
    return columns;
}

Digest row_digest(std::span<const std::int64_t> token_ids, std::span<const std::int32_t> indices,
                  std::span<const std::uint64_t> data, std::int64_t multiplicity, std::int64_t weight) {
    const std::size_t size = indices.size() + data.size() + 2;
    std::array<std::int64_t, 64> numbers;  // enough for almost all rows; longer ones go through it in pieces
    std::optional<Hasher> pieces;
    if (size > numbers.size()) pieces.emplace();
    std::size_t held = 0;
    const auto put = [&](std::int64_t number) {
        if (held == numbers.size()) {
            pieces->add(std::as_bytes(std::span(numbers)));
            held = 0;
        }
        numbers[held++] = number;
    };
    for (const std::int32_t column : indices) put(token_ids[static_cast<std::size_t>(column)]);
    for (const std::uint64_t count : data) put(static_cast<std::int64_t>(count));
    put(multiplicity);
    put(weight);
    const auto rest = std::as_bytes(std::span(numbers).first(held));
    return pieces ? pieces->add(rest).digest() : eckart::digest_of(rest);
}

Digest header_digest(const Manifest& manifest, const Columns& columns) {
    Hasher hasher;
    const std::int64_t numbers[] = {manifest.order,    manifest.vocabulary, manifest.ngrams,
                                    manifest.contexts, manifest.columns,    manifest.merged_rows};
    hasher.add(std::as_bytes(std::span(numbers)));
    hasher.add(std::as_bytes(std::span(columns.token_ids)));
    hasher.add(std::as_bytes(std::span(columns.one_hot_multiplicity)));
    hasher.add(std::as_bytes(std::span(columns.one_hot_weight)));
    return hasher.digest();
}

}  // namespace eckart::matrix
