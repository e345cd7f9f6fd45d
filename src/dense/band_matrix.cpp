#include "eckart/dense/band_matrix.hpp"

#include "blas.hpp"
#include "bulge_kernel.hpp"

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
    BulgeChase(BandMatrix& matrix, int threads)
        : matrix_(matrix),
          threads_(threads),
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
            reflect_diagonal(&matrix_.at(at, at), height, h);
            chase_below(&matrix_.at(at + band, at), height, h, next);
            std::swap(h, next);
            done_[static_cast<std::size_t>(sweep)].store(static_cast<std::int32_t>(step + 1),
                                                         std::memory_order_release);
        }
    }
    void await(std::int64_t sweep, std::int64_t step) const {
        if (sweep < 0 || threads_ == 1) return;
        const auto wanted = static_cast<std::int32_t>(std::min(step, steps(sweep)));
        while (done_[static_cast<std::size_t>(sweep)].load(std::memory_order_acquire) < wanted)
            std::this_thread::yield();
    }

    BandMatrix& matrix_;
    int threads_;
    std::int64_t sweeps_;
    std::vector<std::atomic<std::int32_t>> done_;
};

}  // namespace

Tridiagonal reduce_to_tridiagonal(BandMatrix& matrix, int threads) {
    BulgeChase(matrix, std::max(1, threads)).run();
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

}  // namespace eckart::dense
