#include "eckart/dense/machine_rates.hpp"

#include "blas.hpp"
#include "eckart/base/random.hpp"
#include "eckart/dense/band_matrix.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace eckart::dense {

namespace {

constexpr std::int64_t band = BandMatrix::band;
using Clock = std::chrono::steady_clock;

/// Seconds of the best of three rounds, the slowest rank's.
double best_seconds(const mpi::Communicator& comm, const std::function<void()>& action) {
    double best = 1e300;
    for (int round = 0; round < 3; ++round) {
        comm.barrier();
        const auto start = Clock::now();
        action();
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        comm.quiet_barrier();  // leaves the cores to the first rank's threads
        best = std::min(best, mpi::all_max(comm, seconds));
    }
    return best;
}

/// The update of a block of the reduction: 1024 x 256, of rank 128.
template <typename T>
double products_rate(const mpi::Communicator& comm) {
    constexpr std::int64_t rows = 1024, columns = 256, inner = 2 * band, repeats = 16;
    std::vector<T> a(rows * inner, T(1)), b(columns * inner, T(1)), c(rows * columns);
    const double seconds = best_seconds(comm, [&] {
        for (int i = 0; i < repeats; ++i)
            multiply(T(-1), Op::plain, View<const T>{a.data(), rows, inner, rows}, Op::transposed,
                     View<const T>{b.data(), columns, inner, columns}, T(1),
                     View<T>{c.data(), rows, columns, rows});
    });
    return 2.0 * rows * columns * inner * repeats * comm.size() / seconds;
}

double bandwidth_rate(const mpi::Communicator& comm) {
    constexpr std::size_t size = std::size_t{1} << 22;
    std::vector<double> a(size, 1.0), b(size, 2.0), c(size);
    const double seconds = best_seconds(comm, [&] {
        for (std::size_t i = 0; i < size; ++i) c[i] = a[i] + 3.0 * b[i];
    });
    return 3.0 * sizeof(double) * size * comm.size() / seconds;
}

BandMatrix random_band(std::int64_t order) {
    const CounterRandom random(1);
    BandMatrix matrix(order);
    for (std::int64_t j = 0; j < order; ++j)
        for (std::int64_t i = j; i < std::min(order, j + band + 1); ++i)
            matrix.at(i, j) = random.gaussian(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j));
    return matrix;
}

}  // namespace

template <typename T>
MachineRates measure_rates(const mpi::Communicator& comm, int threads) {
    constexpr std::int64_t order = 1536;
    constexpr double n = order;
    MachineRates rates{.products = products_rate<T>(comm), .bandwidth = bandwidth_rate(comm)};
    Tridiagonal tridiagonal;
    const double chase = best_seconds(comm, [&] {
        if (!comm.is_root()) return;
        BandMatrix matrix = random_band(order);
        tridiagonal = reduce_to_tridiagonal(matrix, threads);
    });
    const double values = best_seconds(comm, [&] {
        if (comm.is_root()) eigenvalues(tridiagonal);
    });
    rates.chase = 6 * n * n * band / chase;
    rates.values = n * n / values;
    return rates;
}
template MachineRates measure_rates<double>(const mpi::Communicator&, int);
template MachineRates measure_rates<float>(const mpi::Communicator&, int);

TwoStageSeconds two_stage_seconds(const MachineRates& rates, std::int64_t size, std::int64_t vectors,
                                  std::int64_t element_bytes) {
    const double n = static_cast<double>(size), k = static_cast<double>(vectors),
                 bytes = static_cast<double>(element_bytes);
    TwoStageSeconds seconds;
    // Every panel's sweep reads and writes what is left of the triangle once.
    const double traffic = 2 * bytes * n * n * n / (6 * band);
    seconds.to_band = 4.0 / 3.0 * n * n * n / rates.products + traffic / rates.bandwidth;
    seconds.to_tridiagonal = 6 * n * n * band / rates.chase;
    seconds.values = n * n / rates.values;
    seconds.vectors = 5 * n * n * k / rates.products;
    return seconds;
}

}  // namespace eckart::dense
