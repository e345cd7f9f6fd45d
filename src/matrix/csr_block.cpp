#include "eckart/matrix/csr_block.hpp"

#include "eckart/base/error.hpp"

#include <string>

namespace eckart::matrix {

namespace {
template <typename T>
std::int64_t bytes_of(const std::vector<T>& values) {
    return static_cast<std::int64_t>(values.capacity() * sizeof(T));
}
template <typename T>
void add_all(Hasher& hasher, const std::vector<T>& values) {
    hasher.add(std::as_bytes(std::span(values)));
}
}  // namespace

void CsrBlock::append_row(std::span<const std::int32_t> columns_of_row, std::span<const std::uint64_t> counts,
                          std::int64_t contexts, std::int64_t ngrams) {
    indices.insert(indices.end(), columns_of_row.begin(), columns_of_row.end());
    data.insert(data.end(), counts.begin(), counts.end());
    indptr.push_back(nonzeros());
    multiplicity.push_back(contexts);
    weight.push_back(ngrams);
}

void CsrBlock::clear() {
    indptr.assign(1, 0);
    indices.clear();
    data.clear();
    multiplicity.clear();
    weight.clear();
}

std::int64_t CsrBlock::bytes() const {
    return bytes_of(indptr) + bytes_of(indices) + bytes_of(data) + bytes_of(multiplicity) + bytes_of(weight);
}

Digest digest_of(const CsrBlock& block) {
    Hasher hasher;
    add_all(hasher, block.indptr);
    add_all(hasher, block.indices);
    add_all(hasher, block.data);
    add_all(hasher, block.multiplicity);
    add_all(hasher, block.weight);
    return hasher.digest();
}

void require_well_formed(const CsrBlock& block, const std::string& name) {
    const auto rows = block.multiplicity.size();
    require(block.weight.size() == rows && block.indptr.size() == rows + 1 &&
                block.data.size() == block.indices.size(),
            "{}: arrays of unequal length", name);
    require(block.indptr.front() == 0 && block.indptr.back() == block.nonzeros(),
            "{}: indptr does not span the non-zeros", name);
    for (std::int64_t row = 0; row < block.rows(); ++row) {
        const std::int64_t begin = block.indptr[row], end = block.indptr[row + 1];
        require(end - begin >= 2 && end <= block.nonzeros(), "{}: row {} is not a merged row", name, row);
        require(block.multiplicity[row] > 0 && block.weight[row] > 0, "{}: row {} stands for no context",
                name, row);
        std::int32_t previous = -1;
        for (std::int64_t at = begin; at < end; ++at) {
            require(block.indices[at] > previous && block.indices[at] < block.columns,
                    "{}: row {} has column {} out of order or range", name, row, block.indices[at]);
            require(block.data[at] > 0, "{}: row {} has a zero count", name, row);
            previous = block.indices[at];
        }
    }
}

}  // namespace eckart::matrix
