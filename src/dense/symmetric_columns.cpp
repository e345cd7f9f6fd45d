#include "eckart/dense/symmetric_columns.hpp"

#include "blas.hpp"
#include "eckart/base/error.hpp"
#include "eckart/mpi/agree.hpp"

#include <algorithm>
#include <cmath>

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

template <typename T>
void add_strip_product(std::vector<T> strip, std::int64_t first, const SmallMatrix& x, SmallMatrix& y) {
    const std::int64_t leading = static_cast<std::int64_t>(strip.size()) / band, rows = x.rows() - first,
                       width = std::min(band, rows), count = x.columns();
    for (std::int64_t j = 0; j < width; ++j)
        for (std::int64_t i = 0; i < j; ++i)
            strip[static_cast<std::size_t>(j * leading + i)] =
                strip[static_cast<std::size_t>(i * leading + j)];
    const std::vector<double> values(strip.begin(), strip.end());
    const View<const double> whole{values.data(), rows, width, leading},
        xs{x.data(), x.rows(), count, x.rows()};
    const View<double> ys{y.data(), x.rows(), count, x.rows()};
    multiply(1.0, Op::plain, whole, Op::plain, xs.part(first, 0, width, count), 1.0,
             ys.part(first, 0, rows, count));
    if (rows > width)
        multiply(1.0, Op::transposed, whole.part(width, 0, rows - width, width), Op::plain,
                 xs.part(first + width, 0, rows - width, count), 1.0, ys.part(first, 0, width, count));
}
template void add_strip_product(std::vector<double>, std::int64_t, const SmallMatrix&, SmallMatrix&);
template void add_strip_product(std::vector<float>, std::int64_t, const SmallMatrix&, SmallMatrix&);

template <typename T>
void require_finite(const SymmetricColumns<T>& matrix) {
    bool bad = false;
    for (std::int64_t block = 0; block < matrix.block_count(); ++block)
        for (const T x : matrix.storage(block)) bad = bad || !std::isfinite(x);
    if (mpi::any(matrix.comm(), bad))
        throw mpi::SharedError<Error>("the matrix of an eigenvalue problem holds a value that is not finite");
}
template void require_finite(const SymmetricColumns<double>&);
template void require_finite(const SymmetricColumns<float>&);

std::int64_t symmetric_columns_bytes(std::int64_t size, int ranks, std::int64_t element_bytes) {
    const std::int64_t padded = round_up(size, band), width = good_width(padded, ranks);
    std::int64_t elements = 0;  // of rank 0, whose blocks are the longest
    for (std::int64_t first = 0; first < padded; first += width * ranks)
        elements += (padded - first) * std::min(width, padded - first);
    return elements * element_bytes;
}

}  // namespace eckart::dense
