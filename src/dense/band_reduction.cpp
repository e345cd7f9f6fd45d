#include "eckart/dense/band_reduction.hpp"

#include "blas.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <type_traits>

namespace eckart::dense {

namespace {

/// The reduction goes panel by panel, `band` columns at a time. For the panel at column j, with A the
/// trailing matrix below it, QR of the panel's part below the band gives Q = I - V T V', and
///
///     Q' A Q = A - V W' - W V',    W = Y T - 1/2 V (T' V' Y T),    Y = A V.
///
/// A is not updated at once: the next panel is brought up to date alone, factored and sent to all, and then
/// one sweep over A subtracts V W' + W V' of the last panel and multiplies with V of this one, so every
/// element of A travels from memory once a panel.
template <typename T>
class BandReduction {
public:
    BandReduction(SymmetricColumns<T>& matrix, Progress& progress, const std::function<void()>& may_stop)
        : a_(matrix),
          progress_(progress),
          may_stop_(may_stop),
          n_(matrix.padded_size()),
          band_matrix_(n_),
          last_(static_cast<std::size_t>(n_ * 3 * band)),
          panel_(static_cast<std::size_t>(n_ * band + band * band)),
          product_(static_cast<std::size_t>(n_ * band)),
          scratch_(static_cast<std::size_t>(n_ * band)) {}

    BandMatrix run() {
        a_.mirror_diagonal_blocks();
        for (std::int64_t j = 0; j + band < n_; j += band) {
            if (a_.is_mine(a_.block_of(j))) factor_panel(j);
            mpi::broadcast(a_.comm(), std::span(panel_).first(panel_size(j)), a_.owner(a_.block_of(j)));
            sweep(j);
            mpi::all_sum(a_.comm(),
                         std::span(product_).first(static_cast<std::size_t>((n_ - j - band) * band)));
            prepare_update(j);
            report(j);
            may_stop_();
        }
        if (n_ > 0 && a_.is_mine(a_.block_of(n_ - band))) finish(n_ - band);
        mpi::all_sum(a_.comm(), std::span(band_matrix_.values));
        band_matrix_.size = a_.size();
        return std::move(band_matrix_);
    }

private:
    static constexpr std::int64_t band = SymmetricColumns<T>::band;
    static_assert(band == BandMatrix::band);

    std::size_t panel_size(std::int64_t j) const {
        return static_cast<std::size_t>((n_ - j - band) * band + band * band);
    }
    // Of the panel at column j: V below the band, and T behind it.
    View<T> vectors(std::int64_t j) { return {panel_.data(), n_ - j - band, band, n_ - j - band}; }
    View<T> triangle(std::int64_t j) { return {panel_.data() + (n_ - j - band) * band, band, band, band}; }
    /// Rows from `row` of [V W V] of the last panel: [V W] is its left, [W V] its right factor of the update.
    View<T> last_left(std::int64_t row, std::int64_t rows) {
        return {last_.data() + row, rows, 2 * band, n_};
    }
    View<T> last_right(std::int64_t row, std::int64_t rows) {
        return {last_.data() + band * n_ + row, rows, 2 * band, n_};
    }

    /// Subtracts the last panel's V W' + W V' from the panel at column j and keeps its diagonal block.
    View<T> updated_panel(std::int64_t j) {
        const View<T> panel{a_.at(j, j), n_ - j, band, a_.rows(a_.block_of(j))};
        if (j > 0)
            multiply(T(-1), Op::plain, last_left(j, n_ - j), Op::transposed, last_right(j, band), T(1),
                     panel);
        for (std::int64_t c = 0; c < band; ++c)
            for (std::int64_t r = c; r < band; ++r)
                band_matrix_.at(j + r, j + c) = panel.data[c * panel.leading + r];
        return panel;
    }

    void factor_panel(std::int64_t j) {
        const View<T> panel = updated_panel(j), v = vectors(j);
        for (std::int64_t c = 0; c < band; ++c)
            std::copy_n(panel.data + c * panel.leading + band, v.rows, v.data + c * v.leading);
        const View<T> t = triangle(j);
        std::fill_n(t.data, band * band, T(0));
        qr(v, t);
        for (std::int64_t c = 0; c < band; ++c) {  // R is the band's edge; V gets its zeros and ones in place
            T* column = v.data + c * v.leading;
            for (std::int64_t r = 0; r <= c; ++r) band_matrix_.at(j + band + r, j + c) = column[r];
            std::fill_n(column, c, T(0));
            column[c] = T(1);
            std::fill_n(t.data + c * band + c + 1, band - c - 1, T(0));
        }
        keep_reflectors(panel, v, t);
    }
    /// Leaves the panel's reflectors in the matrix, where R was: V below the diagonal, T on and above it.
    void keep_reflectors(View<T> panel, View<const T> v, View<const T> t) {
        for (std::int64_t c = 0; c < band; ++c) {
            T* column = panel.data + c * panel.leading + band;
            std::copy_n(t.data + c * t.leading, c + 1, column);
            std::copy_n(v.data + c * v.leading + c + 1, v.rows - c - 1, column + c + 1);
        }
    }
    void finish(std::int64_t j) { updated_panel(j); }

    /// For each block of this rank: A -= V W' + W V' of the last panel, and its part of Y = A V of this one.
    void sweep(std::int64_t j) {
        const std::int64_t start = j + band;
        std::fill_n(product_.data(), (n_ - start) * band, T(0));
        for (std::int64_t block = a_.block_of(start); block < a_.block_count(); ++block)
            if (a_.is_mine(block)) sweep_block(j, block);
    }
    void sweep_block(std::int64_t j, std::int64_t block) {
        const std::int64_t start = j + band, first = std::max(start, a_.first(block)),
                           end = a_.first(block) + a_.columns(block), width = end - first;
        const View<T> whole{a_.at(first, first), n_ - first, width, a_.rows(block)};
        const View<T> v = vectors(j), y{product_.data(), v.rows, band, v.rows};
        const View<T> v_here = v.part(first - start, 0, width, band),
                      y_here = y.part(first - start, 0, width, band);
        const View<T> diagonal = whole.part(0, 0, width, width);
        update(j, first, width, diagonal, first);
        multiply(T(1), Op::plain, diagonal, Op::plain, v_here, T(1), y_here);
        constexpr std::int64_t chunk = 1024;  // rows that stay in cache between update and products
        for (std::int64_t row = end; row < n_; row += chunk) {
            const std::int64_t rows = std::min(chunk, n_ - row);
            const View<T> part = whole.part(row - first, 0, rows, width);
            update(j, row, rows, part, first);
            multiply(T(1), Op::plain, part, Op::plain, v_here, T(1), y.part(row - start, 0, rows, band));
            multiply(T(1), Op::transposed, part, Op::plain, v.part(row - start, 0, rows, band), T(1), y_here);
        }
    }
    void update(std::int64_t j, std::int64_t row, std::int64_t rows, View<T> part, std::int64_t column) {
        if (j > 0)
            multiply(T(-1), Op::plain, last_left(row, rows), Op::transposed, last_right(column, part.columns),
                     T(1), part);
    }

    /// W of this panel, and [V W V] laid out for the next sweep.
    void prepare_update(std::int64_t j) {
        const View<T> v = vectors(j), t = triangle(j), y{product_.data(), v.rows, band, v.rows};
        const View<T> w{scratch_.data(), v.rows, band, v.rows};
        std::vector<T> small(static_cast<std::size_t>(2 * band * band));
        const View<T> vy{small.data(), band, band, band},
            middle{small.data() + band * band, band, band, band};
        multiply(T(1), Op::plain, y, Op::plain, t, T(0), w);
        multiply(T(1), Op::transposed, v, Op::plain, w, T(0), vy);
        multiply(T(1), Op::transposed, t, Op::plain, vy, T(0), middle);
        multiply(T(-0.5), Op::plain, v, Op::plain, middle, T(1), w);
        for (std::int64_t c = 0; c < band; ++c) {
            T* target = last_.data() + c * n_ + j + band;
            std::copy_n(v.data + c * v.leading, v.rows, target);
            std::copy_n(w.data + c * w.leading, v.rows, target + band * n_);
            std::copy_n(v.data + c * v.leading, v.rows, target + 2 * band * n_);
        }
    }

    /// Progress counts flops, in units of 10^9.
    void report(std::int64_t j) {
        const double left = static_cast<double>(n_ - j - band), all = static_cast<double>(n_);
        progress_.update(static_cast<std::int64_t>(4.0 / 3.0 * (all * all * all - left * left * left) / 1e9));
    }

    SymmetricColumns<T>& a_;
    Progress& progress_;
    const std::function<void()>& may_stop_;
    std::int64_t n_;
    BandMatrix band_matrix_;
    std::vector<T> last_;
    std::vector<T> panel_;
    std::vector<T> product_;
    std::vector<T> scratch_;
};

/// The reflectors that the reduction left in the panel at column j, on every rank: V and T.
template <typename T>
class KeptPanel {
public:
    explicit KeptPanel(const SymmetricColumns<T>& reduced)
        : a_(reduced),
          received_(static_cast<std::size_t>(a_.padded_size() * band)),
          v_(received_.size()),
          t_(static_cast<std::size_t>(band * band)) {}

    /// Collective.
    void receive(std::int64_t j) {
        const std::int64_t rows = a_.padded_size() - j - band;
        const int owner = a_.owner(a_.block_of(j));
        for (std::int64_t c = 0; c < band && a_.comm().rank() == owner; ++c)
            std::copy_n(a_.at(j + band, j + c), rows, received_.data() + c * rows);
        mpi::broadcast(a_.comm(), std::span(received_).first(static_cast<std::size_t>(rows * band)), owner);
        std::fill(t_.begin(), t_.end(), 0.0);
        for (std::int64_t c = 0; c < band; ++c) {
            const T* from = received_.data() + c * rows;
            double* to = v_.data() + c * rows;
            std::copy_n(from, c + 1, t_.data() + c * band);
            std::fill_n(to, c, 0.0);
            to[c] = 1;
            std::copy_n(from + c + 1, rows - c - 1, to + c + 1);
        }
        rows_ = rows;
    }
    View<const double> vectors() const { return {v_.data(), rows_, band, rows_}; }
    View<const double> triangle() const { return {t_.data(), band, band, band}; }

private:
    static constexpr std::int64_t band = SymmetricColumns<T>::band;
    const SymmetricColumns<T>& a_;
    std::int64_t rows_ = 0;
    std::vector<T> received_;
    std::vector<double> v_;
    std::vector<double> t_;
};

}  // namespace

template <typename T>
void apply_reflectors(const SymmetricColumns<T>& reduced, std::vector<double>& x) {
    constexpr std::int64_t band = SymmetricColumns<T>::band;
    const std::int64_t n = reduced.padded_size(), columns = static_cast<std::int64_t>(x.size()) / n;
    const View<double> all{x.data(), n, columns, n};
    std::vector<double> products(static_cast<std::size_t>(2 * band * columns));
    const View<double> vx{products.data(), band, columns, band},
        tvx{products.data() + band * columns, band, columns, band};
    KeptPanel<T> panel(reduced);
    for (std::int64_t j = n - 2 * band; j >= 0; j -= band) {
        panel.receive(j);
        const View<double> part = all.part(j + band, 0, n - j - band, columns);
        multiply(1.0, Op::transposed, panel.vectors(), Op::plain, part, 0.0, vx);
        multiply(1.0, Op::plain, panel.triangle(), Op::plain, vx, 0.0, tvx);
        multiply(-1.0, Op::plain, panel.vectors(), Op::plain, tvx, 1.0, part);
    }
}
template void apply_reflectors(const SymmetricColumns<double>&, std::vector<double>&);
template void apply_reflectors(const SymmetricColumns<float>&, std::vector<double>&);

template <typename T>
BandMatrix reduce_to_band(SymmetricColumns<T>& matrix, Progress& progress,
                          const std::function<void()>& may_stop) {
    return BandReduction<T>(matrix, progress, may_stop).run();
}

template BandMatrix reduce_to_band(SymmetricColumns<double>&, Progress&, const std::function<void()>&);
template BandMatrix reduce_to_band(SymmetricColumns<float>&, Progress&, const std::function<void()>&);

}  // namespace eckart::dense
