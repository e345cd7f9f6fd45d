#include "eckart/matrix/matrix_reader.hpp"

#include "eckart/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace eckart::matrix {

MatrixReader::MatrixReader(std::filesystem::path directory)
    : directory_(std::move(directory)),
      manifest_(read_manifest(directory_)),
      columns_(read_columns(directory_)) {
    require(static_cast<std::int64_t>(columns_.token_ids.size()) == manifest_.columns,
            "{}: {} columns, the manifest says {}", (directory_ / columns_name).string(),
            columns_.token_ids.size(), manifest_.columns);
    for (const BlockEntry& block : manifest_.blocks)
        require(std::filesystem::exists(directory_ / block.file), "the matrix is not whole: {} is missing",
                (directory_ / block.file).string());
}

CsrBlock MatrixReader::block(std::int64_t number) const {
    return read_block(directory_, manifest_.blocks.at(static_cast<std::size_t>(number)), manifest_.columns);
}

double MatrixReader::frobenius_squared(RowWeight weight) const {
    return weight == RowWeight::uniform ? manifest_.frobenius_squared.value()
                                        : manifest_.frobenius_squared_by_count;
}

double MatrixReader::row_factor(const CsrBlock& block, std::int64_t row, RowWeight weight) const {
    return weight == RowWeight::uniform
               ? static_cast<double>(block.multiplicity[row])
               : static_cast<double>(block.weight[row]) / static_cast<double>(manifest_.ngrams);
}

double MatrixReader::row_scale(const CsrBlock& block, std::int64_t row, RowWeight weight) const {
    double total = 0;
    for (const std::uint64_t count : block.row_data(row)) total += static_cast<double>(count);
    return std::sqrt(row_factor(block, row, weight)) / total;
}

std::vector<double> MatrixReader::one_hot_diagonal(RowWeight weight) const {
    const auto& counts =
        weight == RowWeight::uniform ? columns_.one_hot_multiplicity : columns_.one_hot_weight;
    const double scale = weight == RowWeight::uniform ? 1.0 : static_cast<double>(manifest_.ngrams);
    std::vector<double> diagonal(counts.size());
    std::transform(counts.begin(), counts.end(), diagonal.begin(),
                   [&](std::int64_t count) { return static_cast<double>(count) / scale; });
    return diagonal;
}

std::vector<std::int64_t> MatrixReader::share(int part, int parts) const {
    // Longest first onto the part with the least so far; ties by number, so every rank finds the same shares.
    std::vector<std::int64_t> order(manifest_.blocks.size());
    std::iota(order.begin(), order.end(), 0);
    const auto size = [&](std::int64_t number) {
        return manifest_.blocks[static_cast<std::size_t>(number)].nonzeros;
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return size(a) > size(b); });
    std::vector<std::int64_t> load(static_cast<std::size_t>(parts)), mine;
    for (const std::int64_t number : order) {
        const auto least = std::min_element(load.begin(), load.end());
        *least += size(number);
        if (least - load.begin() == part) mine.push_back(number);
    }
    std::sort(mine.begin(), mine.end());
    return mine;
}

std::int64_t MatrixReader::largest_block_bytes() const {
    std::int64_t largest = 0;
    for (const BlockEntry& block : manifest_.blocks) {
        constexpr std::int64_t bytes_a_row = 3 * sizeof(std::int64_t),
                               bytes_a_nonzero = sizeof(std::int32_t) + sizeof(std::uint64_t);
        largest = std::max(largest, block.rows * bytes_a_row + block.nonzeros * bytes_a_nonzero);
    }
    return largest;
}

BlockStream::BlockStream(const MatrixReader& reader, std::vector<std::int64_t> numbers)
    : reader_(reader), numbers_(std::move(numbers)) {
    prefetch();
}

BlockStream::~BlockStream() {
    if (ahead_.valid()) ahead_.wait();
}

void BlockStream::prefetch() {
    if (position_ == numbers_.size()) return;
    ahead_ = std::async(std::launch::async,
                        [this, number = numbers_[position_++]] { return reader_.block(number); });
}

std::optional<CsrBlock> BlockStream::next() {
    if (!ahead_.valid()) return std::nullopt;
    CsrBlock block = ahead_.get();
    prefetch();
    return block;
}

}  // namespace eckart::matrix
