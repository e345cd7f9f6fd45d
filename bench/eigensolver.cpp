// All eigenvalues of a dense symmetric matrix: the solvers side by side, against what a matrix product of the
// same 4/3 n^3 flops would take. Run under mpirun with one BLAS thread a rank, or alone with several:
//
//   OPENBLAS_NUM_THREADS=1 mpirun -n 2 bench-eigensolver --benchmark_filter=two_stage
//   ECKART_BENCH_ORDER=13058 ...                 the order of the matrix (default 3000)
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/random.hpp"
#include "eckart/dense/band_matrix.hpp"
#include "eckart/dense/band_reduction.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/dense/eigenvalues.hpp"
#include "eckart/mpi/collectives.hpp"
#ifdef ECKART_BENCH_ELPA
#include "elpa.hpp"
#endif

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>

#include <benchmark/benchmark.h>

using namespace eckart;

extern "C" {
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
            const int*, const double*, const int*, const double*, double*, const int*);
void dsyevd_(const char*, const char*, const int*, double*, const int*, double*, double*, const int*, int*,
             const int*, int*);
void dsyevd_2stage_(const char*, const char*, const int*, double*, const int*, double*, double*, const int*,
                    int*, const int*, int*);
}

namespace {

/// Wall time; on a machine that others use too, ECKART_BENCH_CLOCK=cpu takes a rank's processor time instead
/// (meant for one rank with one thread).
double now() {
    static const bool processor = std::getenv("ECKART_BENCH_CLOCK") != nullptr;
    timespec time{};
    clock_gettime(processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_of(const mpi::Communicator& comm, const std::function<void()>& action) {
    comm.barrier();
    const double start = now();
    action();
    comm.barrier();
    return now() - start;
}

std::int64_t order() {
    const char* text = std::getenv("ECKART_BENCH_ORDER");
    return text != nullptr ? std::atoll(text) : 3000;
}

/// Positive, full, and with a decaying spectrum, as cross products are.
double entry(std::int64_t i, std::int64_t j) {
    static const CounterRandom random(11);
    const double noise = random.uniform(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j));
    return noise + (i == j ? 1e4 / (1.0 + static_cast<double>(i)) : 0);
}

template <typename T>
dense::SymmetricColumns<T> columns(const mpi::Communicator& world) {
    dense::SymmetricColumns<T> matrix(world, order());
    for (std::int64_t j = 0; j < order(); ++j)
        if (matrix.is_mine(matrix.block_of(j)))
            for (std::int64_t i = j; i < order(); ++i) *matrix.at(i, j) = static_cast<T>(entry(i, j));
    return matrix;
}

double flops() {
    const double n = static_cast<double>(order());
    return 4.0 / 3.0 * n * n * n;
}

/// Seconds that dgemm on all ranks at once would need for 4/3 n^3 flops.
double ideal_seconds(const mpi::Communicator& world) {
    static double rate = 0;
    if (rate == 0) {
        const int n = 2048;
        const double one = 1, zero = 0;
        std::vector<double> a(static_cast<std::size_t>(n) * n, 1.0), b = a, c = a;
        for (int repeat = 0; repeat < 4; ++repeat) {
            const double seconds = seconds_of(world, [&] {
                dgemm_("N", "N", &n, &n, &n, &one, a.data(), &n, b.data(), &n, &zero, c.data(), &n);
            });
            rate = std::max(rate, 2.0 * n * n * n * world.size() / seconds);
        }
    }
    return flops() / rate;
}

void conclude(benchmark::State& state, const mpi::Communicator& world, double seconds) {
    state.SetIterationTime(seconds);
    state.counters["GFlops"] = flops() / seconds / 1e9;
    state.counters["times_dgemm"] = seconds / ideal_seconds(world);
}

/// The values of the first solver that ran are the measure for the others.
void expect_same(benchmark::State& state, std::vector<double> values) {
    static std::vector<double> first;
    if (first.empty()) first = values;
    double error = values.size() == first.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(values.size(), first.size()); ++i)
        error = std::max(error, std::abs(values[i] - first[i]) / std::abs(first.back()));
    state.counters["error"] = error;
}

template <typename T>
void two_stage(benchmark::State& state) {
    const auto world = mpi::Communicator::world();
    Progress silent = Progress::silent();
    for (auto _ : state) {
        auto matrix = columns<T>(world);
        dense::BandMatrix band(0);
        dense::Tridiagonal tridiagonal;
        std::vector<double> values;
        const double first = seconds_of(world, [&] { band = dense::reduce_to_band(matrix, silent); });
        const double second = seconds_of(world, [&] {
            if (world.is_root()) tridiagonal = dense::reduce_to_tridiagonal(band, available_cores());
            world.quiet_barrier();
        });
        const double third = seconds_of(world, [&] {
            if (world.is_root()) values = dense::eigenvalues(tridiagonal);
        });
        conclude(state, world, first + second + third);
        state.counters["to_band_s"] = first;
        state.counters["to_tridiagonal_s"] = second;
        state.counters["values_s"] = third;
        if (world.is_root()) expect_same(state, values);
    }
}

/// Of LAPACK, on the first rank, with the threads of all: `one_stage` is what numpy and scipy call.
void lapack(benchmark::State& state, bool one_stage) {
    const auto world = mpi::Communicator::world();
    const int n = static_cast<int>(order());
    for (auto _ : state) {
        const auto size = static_cast<std::size_t>(world.is_root() ? n : 0);
        std::vector<double> a(size * size), w(size);
        for (std::int64_t j = 0; j < static_cast<std::int64_t>(size); ++j)
            for (std::int64_t i = j; i < n; ++i) a[static_cast<std::size_t>(j * n + i)] = entry(i, j);
        const int lwork = 2 * n + 1 + 256 * n, liwork = 16;
        std::vector<double> work(static_cast<std::size_t>(lwork));
        std::vector<int> iwork(liwork);
        int info = 0;
        conclude(state, world, seconds_of(world, [&] {
                     if (world.is_root()) {
                         const dense::BlasThreads all(available_cores());
                         (one_stage ? dsyevd_ : dsyevd_2stage_)("N", "L", &n, a.data(), &n, w.data(),
                                                                work.data(), &lwork, iwork.data(), &liwork,
                                                                &info);
                     }
                     world.quiet_barrier();
                 }));
        require(info == 0, "LAPACK failed with INFO {}", info);
        if (world.is_root()) expect_same(state, w);
    }
}

void scalapack(benchmark::State& state) {
    const auto world = mpi::Communicator::world();
    for (auto _ : state) {
        auto matrix = columns<double>(world);
        std::vector<double> values;
        conclude(state, world, seconds_of(world, [&] { values = dense::eigenvalues_by_scalapack(matrix); }));
        expect_same(state, values);
    }
}

#ifdef ECKART_BENCH_ELPA
void elpa(benchmark::State& state) {
    const auto world = mpi::Communicator::world();
    for (auto _ : state) {
        auto matrix = columns<double>(world);
        dense::TiledMatrix tiles(matrix);
        std::vector<double> values;
        conclude(state, world, seconds_of(world, [&] { values = bench::eigenvalues_by_elpa(tiles); }));
        expect_same(state, values);
    }
}
#endif

class Silence : public benchmark::BenchmarkReporter {
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>&) override {}
};

}  // namespace

int main(int argc, char** argv) {
    dense::ensure_blas_kernel(argv);
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) {
        const auto add = [](const std::string& name, auto function) {
            benchmark::RegisterBenchmark(name.c_str(), function)
                ->Iterations(1)
                ->UseManualTime()
                ->Unit(benchmark::kSecond);
        };
        add("two_stage", two_stage<double>);
        add("two_stage_single", two_stage<float>);
        add("lapack_two_stage", [](benchmark::State& state) { lapack(state, false); });
        add("lapack_dsyevd", [](benchmark::State& state) { lapack(state, true); });
        add("scalapack_pdsyev", scalapack);
#ifdef ECKART_BENCH_ELPA
        add("elpa", elpa);
#endif
        benchmark::Initialize(&argc, argv);
        Silence silence;
        if (world.is_root())
            benchmark::RunSpecifiedBenchmarks();
        else
            benchmark::RunSpecifiedBenchmarks(&silence);
        return 0;
    });
}
