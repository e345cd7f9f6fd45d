#include "eckart/dense/symmetric_columns.hpp"

#include "blas.hpp"
#include "eckart/base/error.hpp"

#include <algorithm>

namespace eckart::dense {

namespace {

constexpr std::int64_t band = SymmetricColumns<double>::band;

std::int64_t round_up(std::int64_t value, std::int64_t step) {
    return (value + step - 1) / step * step;
}

/// Wide blocks make fast products, narrow ones share the work evenly: 16 blocks a rank are a fair bargain.
std::int64_t good_width(std::int64_t padded, int ranks) {
    constexpr std::int64_t blocks_per_rank = 16, widest = 256;
    return std::clamp(padded / (blocks_per_rank * ranks) / band * band, band, widest);
}

}  // namespace

template <typename T>
SymmetricColumns<T>::SymmetricColumns(const mpi::Communicator& comm, std::int64_t size, std::int64_t width)
    : comm_(&comm),
      rank_(comm.rank()),
      ranks_(comm.size()),
      size_(size),
      padded_(round_up(size, band)),
      width_(width > 0 ? width : good_width(padded_, ranks_)) {
    require(width_ % band == 0, "blocks of {} columns do not hold whole bands of {}", width_, band);
    blocks_.resize(static_cast<std::size_t>((padded_ + width_ - 1) / width_));
    for (std::int64_t block = 0; block < block_count(); ++block)
        if (is_mine(block)) storage(block).resize(static_cast<std::size_t>(rows(block) * columns(block)));
}

template <typename T>
void SymmetricColumns<T>::mirror_diagonal_blocks() {
    for (std::int64_t block = 0; block < block_count(); ++block) {
        if (!is_mine(block)) continue;
        T* corner = storage(block).data();
        const std::int64_t leading = rows(block);
        for (std::int64_t j = 0; j < columns(block); ++j)
            for (std::int64_t i = j + 1; i < columns(block); ++i)
                corner[i * leading + j] = corner[j * leading + i];
    }
}

template class SymmetricColumns<double>;
template class SymmetricColumns<float>;

template <typename T>
void add_products(SymmetricColumns<T>& a, const std::vector<T>& panel, std::int64_t columns) {
    const std::int64_t n = a.padded_size();
    for (std::int64_t block = 0; block < a.block_count(); ++block) {
        if (!a.is_mine(block)) continue;
        const View<const T> left{panel.data() + a.first(block), a.rows(block), columns, n},
            right{panel.data() + a.first(block), a.columns(block), columns, n};
        multiply(T(1), Op::plain, left, Op::transposed, right, T(1),
                 View<T>{a.storage(block).data(), a.rows(block), a.columns(block), a.rows(block)});
    }
}
template void add_products(SymmetricColumns<double>&, const std::vector<double>&, std::int64_t);
template void add_products(SymmetricColumns<float>&, const std::vector<float>&, std::int64_t);

std::int64_t symmetric_columns_bytes(std::int64_t size, int ranks, std::int64_t element_bytes) {
    const std::int64_t padded = round_up(size, band), width = good_width(padded, ranks);
    std::int64_t elements = 0;  // of rank 0, whose blocks are the longest
    for (std::int64_t first = 0; first < padded; first += width * ranks)
        elements += (padded - first) * std::min(width, padded - first);
    return elements * element_bytes;
}

}  // namespace eckart::dense
