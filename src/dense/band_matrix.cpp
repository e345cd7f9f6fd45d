#include "eckart/dense/band_matrix.hpp"

#include "blas.hpp"
#include "bulge_kernel.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace eckart::dense {

namespace {

/// Sweep s clears column s below its subdiagonal and chases the bulge down the band in steps of `band` rows.
/// Its step t works on columns s + 1 + t band and the `band` - 1 after it, which sweep s - 1 has left for
/// good once its step t + 1 is done: so sweeps follow each other like trains, one thread driving every
/// `threads`-th.
class BulgeChase {
public:
    BulgeChase(BandMatrix& matrix, int threads, ChaseReflectors* kept)
        : matrix_(matrix),
          threads_(threads),
          kept_(kept),
          sweeps_(std::max<std::int64_t>(0, matrix.size - 2)),
          done_(static_cast<std::size_t>(sweeps_)) {}

    void run() {
        std::vector<std::thread> others;
        for (int thread = 1; thread < threads_; ++thread)
            others.emplace_back([this, thread] { drive(thread); });
        drive(0);
        for (std::thread& other : others) other.join();
    }

private:
    static constexpr std::int64_t band = BandMatrix::band, height = BandMatrix::height;

    std::int64_t steps(std::int64_t sweep) const { return (matrix_.size - 1 - (sweep + 1)) / band + 1; }

    void drive(int thread) {
        for (std::int64_t sweep = thread; sweep < sweeps_; sweep += threads_) chase(sweep);
    }
    void chase(std::int64_t sweep) {
        Reflector h, next;
        for (std::int64_t step = 0; step < steps(sweep); ++step) {
            await(sweep - 1, step + 2);
            const std::int64_t at = sweep + 1 + step * band;
            if (step == 0) reflect(&matrix_.at(at, sweep), h);
            if (kept_ != nullptr) keep(h, kept_->at(sweep, step));
            reflect_diagonal(&matrix_.at(at, at), height, h);
            chase_below(&matrix_.at(at + band, at), height, h, next);
            std::swap(h, next);
            done_[static_cast<std::size_t>(sweep)].store(static_cast<std::int32_t>(step + 1),
                                                         std::memory_order_release);
        }
    }
    static void keep(const Reflector& h, double* to) {
        std::copy_n(h.v, band, to);
        to[0] = h.tau;
    }
    void await(std::int64_t sweep, std::int64_t step) const {
        if (sweep < 0 || threads_ == 1) return;
        const auto wanted = static_cast<std::int32_t>(std::min(step, steps(sweep)));
        while (done_[static_cast<std::size_t>(sweep)].load(std::memory_order_acquire) < wanted)
            std::this_thread::yield();
    }

    BandMatrix& matrix_;
    int threads_;
    ChaseReflectors* kept_;
    std::int64_t sweeps_;
    std::vector<std::atomic<std::int32_t>> done_;
};

/// The reflectors of some consecutive sweeps, applied together. Step t of one sweep shares rows with steps t
/// and t - 1 of later ones only, so the steps t of all of them make one block reflector I - V T V' of slanted
/// columns, and the blocks follow each other from t = 0 up.
class SweepGroup {
public:
    static constexpr std::int64_t most = 32;

    SweepGroup(const ChaseReflectors& reflectors, std::int64_t first, std::int64_t count,
               const double* values)
        : reflectors_(reflectors), first_(first), count_(count), values_(values) {}

    void apply(View<double> x) {
        for (std::int64_t step = 0; step < reflectors_.steps(first_); ++step) {
            const View<double> v = gather(step), t{t_.data(), v.columns, v.columns, most};
            triangle(v, t, taus_.data());
            const View<double> part = x.part(first_ + 1 + step * band, 0, v.rows, x.columns);
            products_.resize(static_cast<std::size_t>(2 * most * x.columns));
            const View<double> vx{products_.data(), v.columns, x.columns, most},
                tvx{products_.data() + most * x.columns, v.columns, x.columns, most};
            multiply(1.0, Op::transposed, v, Op::plain, part, 0.0, vx);
            multiply(1.0, Op::plain, t, Op::plain, vx, 0.0, tvx);
            multiply(-1.0, Op::plain, v, Op::plain, tvx, 1.0, part);
        }
    }

private:
    static constexpr std::int64_t band = ChaseReflectors::band, height = band + most - 1;

    /// V of a step: column i holds the vector of sweep first + i, from row i down.
    View<double> gather(std::int64_t step) {
        const std::int64_t base = first_ + 1 + step * band;
        std::fill(v_.begin(), v_.end(), 0.0);
        std::int64_t columns = 0;
        for (; columns < count_ && reflectors_.steps(first_ + columns) > step; ++columns) {
            const double* from =
                values_ + (reflectors_.offset(first_ + columns) - reflectors_.offset(first_) + step) * band;
            double* to = v_.data() + columns * height + columns;
            std::copy_n(from, band, to);
            to[0] = 1;
            taus_[static_cast<std::size_t>(columns)] = from[0];
        }
        return {v_.data(), std::min(height, reflectors_.size() - base), columns, height};
    }

    const ChaseReflectors& reflectors_;
    std::int64_t first_, count_;
    const double* values_;
    std::vector<double> v_ = std::vector<double>(static_cast<std::size_t>(height * most));
    std::vector<double> t_ = std::vector<double>(static_cast<std::size_t>(most * most));
    std::vector<double> taus_ = std::vector<double>(static_cast<std::size_t>(most));
    std::vector<double> products_;
};

}  // namespace

ChaseReflectors::ChaseReflectors(std::int64_t order, bool here) : size_(order), offsets_{0} {
    for (std::int64_t sweep = 0; sweep + 2 < order; ++sweep)
        offsets_.push_back(offsets_.back() + (order - 2 - sweep) / band + 1);
    if (here) values_.resize(static_cast<std::size_t>(offsets_.back() * band));
}

std::int64_t ChaseReflectors::bytes(std::int64_t order) {
    return (order * order / 2 + order * band / 2) * static_cast<std::int64_t>(sizeof(double));
}

void apply(const mpi::Communicator& comm, ChaseReflectors& reflectors, std::vector<double>& x,
           std::int64_t leading) {
    const View<double> all{x.data(), leading, static_cast<std::int64_t>(x.size()) / leading, leading};
    std::vector<double> received;
    const std::int64_t sweeps = reflectors.sweeps();
    for (std::int64_t end = sweeps; end > 0;) {
        const std::int64_t first = (end - 1) / SweepGroup::most * SweepGroup::most, count = end - first;
        if (!comm.is_root())
            received.resize(static_cast<std::size_t>((reflectors.offset(end) - reflectors.offset(first)) *
                                                     ChaseReflectors::band));
        const std::span<double> values =
            comm.is_root() ? reflectors.of_sweeps(first, count) : std::span(received);
        mpi::broadcast(comm, values);
        if (all.columns > 0) SweepGroup(reflectors, first, count, values.data()).apply(all);
        end = first;
    }
}

Tridiagonal reduce_to_tridiagonal(BandMatrix& matrix, int threads, ChaseReflectors* kept) {
    BulgeChase(matrix, std::max(1, threads), kept).run();
    Tridiagonal result;
    for (std::int64_t i = 0; i < matrix.size; ++i) {
        result.diagonal.push_back(matrix.at(i, i));
        if (i + 1 < matrix.size) result.below.push_back(matrix.at(i + 1, i));
    }
    return result;
}

std::vector<double> eigenvalues(Tridiagonal matrix) {
    const int n = narrow<int>(static_cast<std::int64_t>(matrix.diagonal.size()));
    if (n == 0) return {};
    int info = 0;
    matrix.below.push_back(0);  // dsterf wants an address even when there is none
    dsterf_(&n, matrix.diagonal.data(), matrix.below.data(), &info);
    require(info == 0, "dsterf failed with INFO {}", info);
    return std::move(matrix.diagonal);
}

std::vector<double> leading_vectors(Tridiagonal matrix, std::int64_t count) {
    const int n = narrow<int>(matrix.size()), wanted = narrow<int>(count), first = n - wanted + 1;
    if (count == 0) return {};
    std::vector<double> values(static_cast<std::size_t>(n)),
        vectors(static_cast<std::size_t>(n) * static_cast<std::size_t>(wanted)),
        work(static_cast<std::size_t>(18 * matrix.size()));
    std::vector<int> support(static_cast<std::size_t>(2 * wanted)),
        integers(static_cast<std::size_t>(10 * matrix.size()));
    const int work_size = narrow<int>(18 * matrix.size()), integer_size = narrow<int>(10 * matrix.size());
    const double unused = 0;
    int found = 0, high_accuracy = 1, info = 0;
    matrix.below.push_back(0);  // dstemr works in a place more than there are
    dstemr_("V", "I", &n, matrix.diagonal.data(), matrix.below.data(), &unused, &unused, &first, &n, &found,
            values.data(), vectors.data(), &n, &wanted, support.data(), &high_accuracy, work.data(),
            &work_size, integers.data(), &integer_size, &info);
    require(info == 0 && found == wanted, "dstemr of order {} failed with INFO {}", n, info);
    std::vector<double> ordered;
    for (std::int64_t j = wanted - 1; j >= 0; --j)
        ordered.insert(ordered.end(), vectors.begin() + j * n, vectors.begin() + (j + 1) * n);
    return ordered;
}

}  // namespace eckart::dense
