// The pass Z = W'(W X) of the randomized method against what the machine can do. Alone (all cores as threads)
// or under mpirun:
//
//   ECKART_BENCH_MATRIX=DIR bench-fused-pass                       a matrix made by eckart-matrix
//   OMP_NUM_THREADS=1 mpirun -n 2 bench-fused-pass                 without one: rows as text has them
//
// A pass reads the rows once and X, and writes Z: so many bytes; it needs 4 x non-zeros x width flops. The
// roofline is the smaller of dgemm's rate and (flops / bytes) x memory bandwidth; `of_roofline` is the share
// reached, `error` the largest deviation from a plain sum of products, relative to the largest entry of Z.
#include "eckart/base/memory_plan.hpp"
#include "eckart/base/random.hpp"
#include "eckart/dense/blas_kernel.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/cross_operator.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numeric>
#include <set>
#include <string>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

using namespace eckart;
namespace fs = std::filesystem;

extern "C" void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*,
                       const double*, const int*, const double*, const int*, const double*, double*,
                       const int*);

namespace {

using Clock = std::chrono::steady_clock;

struct Setup {
    const mpi::Communicator& world;
    const matrix::MatrixReader& reader;
    const svd::CoupledColumns& columns;
    int threads;
};

double seconds_of(const mpi::Communicator& comm, const std::function<void()>& action) {
    comm.barrier();
    const auto start = Clock::now();
    action();
    comm.barrier();
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double median_seconds(const mpi::Communicator& comm, int repeats, const std::function<void()>& action) {
    std::vector<double> seconds;
    for (int i = 0; i < repeats; ++i) seconds.push_back(seconds_of(comm, action));
    std::nth_element(seconds.begin(), seconds.begin() + repeats / 2, seconds.end());
    return seconds[static_cast<std::size_t>(repeats / 2)];
}

/// Flops a second of dgemm on all ranks and threads at once.
double dgemm_rate(const Setup& setup) {
    const int n = 2000;
    const double one = 1, zero = 0;
    std::vector<double> a(static_cast<std::size_t>(n) * n, 1.0), b = a, c = a;
    const double seconds = median_seconds(setup.world, 5, [&] {
        dgemm_("N", "N", &n, &n, &n, &one, a.data(), &n, b.data(), &n, &zero, c.data(), &n);
    });
    return 2.0 * n * n * n * setup.world.size() / seconds;
}

/// Bytes a second that all ranks and threads read from memory.
double memory_rate(const Setup& setup) {
    const std::int64_t numbers = std::int64_t{1} << 25;
    const std::vector<double> values(static_cast<std::size_t>(numbers), 1.0);
    const double seconds = median_seconds(setup.world, 5, [&] {
        double sum = 0;
#pragma omp parallel for simd reduction(+ : sum) num_threads(setup.threads)
        for (std::int64_t i = 0; i < numbers; ++i) sum += values[static_cast<std::size_t>(i)];
        benchmark::DoNotOptimize(sum);
    });
    return static_cast<double>(numbers * setup.world.size()) * sizeof(double) / seconds;
}

dense::TallMatrix panel(const svd::CrossOperator& gram, std::int64_t width) {
    const CounterRandom random(1);
    dense::TallMatrix x(gram.local_rows(), width);
    for (std::int64_t j = 0; j < width; ++j)
        for (std::int64_t i = 0; i < x.rows(); ++i)
            x.column(j)[i] = random.uniform(static_cast<std::uint64_t>(gram.first_row() + i),
                                            static_cast<std::uint64_t>(j));
    return x;
}

/// Column 0 of Z against a sum of products, row after row.
double error_of(const Setup& setup, const svd::CrossOperator& gram, const dense::TallMatrix& z) {
    const CounterRandom random(1);
    const auto& position = setup.columns.position;
    std::vector<double> wanted(static_cast<std::size_t>(gram.size()));
    for (const std::int64_t number : setup.reader.share(setup.world.rank(), setup.world.size())) {
        const matrix::CsrBlock block = setup.reader.block(number);
        for (std::int64_t row = 0; row < block.rows(); ++row) {
            const auto indices = block.row_indices(row);
            const auto counts = block.row_data(row);
            double total = 0, product = 0;
            for (std::size_t i = 0; i < counts.size(); ++i) {
                total += static_cast<double>(counts[i]);
                product += static_cast<double>(counts[i]) *
                           random.uniform(static_cast<std::uint64_t>(position[indices[i]]), 0);
            }
            const double factor = static_cast<double>(block.multiplicity[row]) * product / (total * total);
            for (std::size_t i = 0; i < counts.size(); ++i)
                wanted[static_cast<std::size_t>(position[indices[i]])] +=
                    factor * static_cast<double>(counts[i]);
        }
    }
    mpi::all_sum(setup.world, std::span(wanted));
    const auto diagonal = setup.reader.one_hot_diagonal(matrix::RowWeight::uniform);
    double worst = 0, largest = 0;
    for (std::int64_t i = 0; i < z.rows(); ++i) {
        const std::int64_t row = gram.first_row() + i;
        const double value =
            wanted[static_cast<std::size_t>(row)] +
            diagonal[static_cast<std::size_t>(setup.columns.coupled[static_cast<std::size_t>(row)])] *
                random.uniform(static_cast<std::uint64_t>(row), 0);
        worst = std::max(worst, std::abs(value - z.column(0)[i])), largest = std::max(largest, value);
    }
    return mpi::all_max(setup.world, worst) / mpi::all_max(setup.world, largest);
}

struct Size {
    double nonzeros = 0, rows = 0, disk_bytes = 0;
};

Size size_of(const matrix::MatrixReader& reader) {
    Size size;
    std::set<std::string> files;
    for (const matrix::BlockEntry& block : reader.manifest().blocks) {
        size.nonzeros += static_cast<double>(block.nonzeros), size.rows += static_cast<double>(block.rows);
        if (files.insert(block.file).second)
            size.disk_bytes += static_cast<double>(fs::file_size(reader.directory() / block.file));
    }
    return size;
}

svd::PassResources resources_of(const Setup& setup) {
    constexpr std::int64_t ample = std::int64_t{1} << 40;
    return {ample, setup.threads, fs::temp_directory_path(), ample};
}

/// The plan of a run with enough memory.
svd::PassPlan best_plan(const Setup& setup, std::int64_t width) {
    return svd::plan_pass(setup.reader, setup.world.size(), width, resources_of(setup));
}

void pass(benchmark::State& state, const Setup& setup, const svd::PassPlan& plan) {
    const std::int64_t width = state.range(0);
    const Size size = size_of(setup.reader);
    svd::CrossOperator gram(setup.world, setup.reader, setup.columns, matrix::RowWeight::uniform, plan,
                            resources_of(setup));
    const dense::TallMatrix x = panel(gram, width);
    const dense::TallMatrix z = gram.apply(x);
    for (auto _ : state) {
        const double seconds = median_seconds(setup.world, 7, [&] { gram.apply(x); });
        state.SetIterationTime(seconds);
        const double flops = 4 * size.nonzeros * static_cast<double>(width);
        const double bytes =
            12 * size.nonzeros + 8 * size.rows + 16.0 * static_cast<double>(gram.size() * width);
        const double compute = dgemm_rate(setup), memory = flops / bytes * memory_rate(setup);
        state.counters["GFlops"] = flops / seconds / 1e9;
        state.counters["dgemm_GFlops"] = compute / 1e9;
        state.counters["memory_GFlops"] = memory / 1e9;
        state.counters["of_roofline"] = flops / seconds / std::min(compute, memory);
        state.counters["error"] = error_of(setup, gram, z);
    }
}

void pass_from_memory(benchmark::State& state, const Setup& setup) {
    pass(state, setup, best_plan(setup, state.range(0)));
}

/// The rows as they are, one after the other.
void pass_over_rows(benchmark::State& state, const Setup& setup) {
    svd::PassPlan plan = best_plan(setup, state.range(0));
    plan.kept = svd::Kept::rows;
    pass(state, setup, plan);
}

/// The scratch files that this process has open; they have no names.
std::vector<int> scratch_files() {
    std::vector<int> files;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (fs::read_symlink(entry.path(), gone).string().find("eckart-products") != std::string::npos)
            files.push_back(std::stoi(entry.path().filename()));
    }
    return files;
}

/// Out of the system's cache, so that the next read comes from the disk.
void forget(int file) {
    ::fdatasync(file);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
}
void forget(const matrix::MatrixReader& reader) {
    for (const matrix::BlockEntry& block : reader.manifest().blocks) {
        const int file = ::open((reader.directory() / block.file).c_str(), O_RDONLY);
        forget(file);
        ::close(file);
    }
    for (const int file : scratch_files()) forget(file);
}

/// Bytes a second at which one reader gets the files of the matrix from the disk.
double disk_rate(const Setup& setup) {
    const Size size = size_of(setup.reader);
    std::vector<char> buffer(std::size_t{1} << 22);
    const double seconds = median_seconds(setup.world, 3, [&] {
        if (!setup.world.is_root()) return;
        forget(setup.reader);
        std::set<std::string> done;
        for (const matrix::BlockEntry& block : setup.reader.manifest().blocks) {
            if (!done.insert(block.file).second) continue;
            const int file = ::open((setup.reader.directory() / block.file).c_str(), O_RDONLY);
            while (::read(file, buffer.data(), buffer.size()) > 0) continue;
            ::close(file);
        }
    });
    return size.disk_bytes / seconds;
}

/// A pass that reads `bytes` from the disk, with `plan`, against one from memory.
void pass_with(benchmark::State& state, const Setup& setup, const svd::PassPlan& plan) {
    const std::int64_t width = state.range(0);
    const auto operator_of = [&](const svd::PassPlan& with) {
        return svd::CrossOperator(setup.world, setup.reader, setup.columns, matrix::RowWeight::uniform, with,
                                  resources_of(setup));
    };
    svd::CrossOperator out_of_core = operator_of(plan), kept = operator_of(best_plan(setup, width));
    const dense::TallMatrix x = panel(kept, width);
    kept.apply(x), out_of_core.apply(x);
    double bytes = plan.kept == svd::Kept::nothing ? size_of(setup.reader).disk_bytes : 0;
    for (const int file : scratch_files())
        bytes += mpi::all_sum(setup.world, static_cast<double>(::lseek(file, 0, SEEK_END)));
    for (auto _ : state) {
        const double in_memory = median_seconds(setup.world, 5, [&] { kept.apply(x); });
        const double cached = median_seconds(setup.world, 5, [&] { out_of_core.apply(x); });
        std::vector<double> runs;
        for (int i = 0; i < 5; ++i) {
            forget(setup.reader);
            runs.push_back(seconds_of(setup.world, [&] { out_of_core.apply(x); }));
        }
        std::sort(runs.begin(), runs.end());
        const double seconds = runs[2];
        state.SetIterationTime(seconds);
        state.counters["times_in_memory"] = seconds / in_memory;
        state.counters["cached_times_in_memory"] = cached / in_memory;
        state.counters["GB_s"] = bytes / seconds / 1e9;
        state.counters["disk_GB_s"] = disk_rate(setup) / 1e9;
    }
}

/// With a tenth of the memory in which the rows could be kept: products in a scratch file.
void pass_from_scratch(benchmark::State& state, const Setup& setup) {
    svd::PassPlan plan{setup.world.size(), 1, svd::Kept::products, 0};
    plan.batch_bytes = svd::kept_bytes(setup.reader, plan, setup.threads) / 10;
    plan.kept = svd::Kept::file;
    pass_with(state, setup, plan);
}

/// From the files of the matrix.
void pass_from_blocks(benchmark::State& state, const Setup& setup) {
    pass_with(state, setup, {setup.world.size(), 1, svd::Kept::nothing, 0});
}

/// Rows as text has them: few successors, popular and rare columns. Written by the first rank.
void write_text_like(const fs::path& directory) {
    constexpr std::int64_t columns = 20000, blocks = 8, rows_a_block = 120000;
    const CounterRandom random(5);
    matrix::Columns all;
    all.token_ids.resize(columns);
    std::iota(all.token_ids.begin(), all.token_ids.end(), 0);
    all.one_hot_multiplicity = all.one_hot_weight = std::vector<std::int64_t>(columns, 1);
    matrix::write_columns(directory, all);
    matrix::BlockFileWriter writer(directory, 0, {});
    for (std::int64_t b = 0; b < blocks; ++b) {
        matrix::CsrBlock block;
        block.columns = columns;
        for (std::int64_t r = 0; r < rows_a_block; ++r) {
            const auto row = static_cast<std::uint64_t>(b * rows_a_block + r);
            std::set<std::int32_t> chosen;
            const double length = 2 / std::sqrt(random.uniform(row, 0, 1));  // most short, some long
            for (std::uint64_t k = 0; k < static_cast<std::uint64_t>(length) || chosen.size() < 2; ++k)
                chosen.insert(static_cast<std::int32_t>(columns * std::pow(random.uniform(row, k, 2), 5)));
            std::vector<std::uint64_t> counts(chosen.size(), 1);
            counts.front() += row % 3;
            block.append_row(std::vector<std::int32_t>(chosen.begin(), chosen.end()), counts, 1, 1);
        }
        writer.add(b, block);
    }
    matrix::Manifest manifest;
    manifest.order = 2;
    manifest.columns = columns;
    manifest.ngrams = 1;
    manifest.blocks = writer.commit();
    matrix::write_manifest(directory, manifest);
}

class Silence : public benchmark::BenchmarkReporter {
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>&) override {}
};

void run_benchmarks(const Setup& setup) {
    const auto add = [&](const char* name, void (*function)(benchmark::State&, const Setup&),
                         std::int64_t width) {
        benchmark::RegisterBenchmark(name,
                                     [&setup, function](benchmark::State& state) { function(state, setup); })
            ->Arg(width)
            ->Iterations(1)
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
    };
    for (const std::int64_t width : {16, 64, 128, 256}) {
        add("pass_from_memory", pass_from_memory, width);
        add("pass_over_rows", pass_over_rows, width);
    }
    for (const std::int64_t width : {128, 256}) {
        add("pass_from_scratch", pass_from_scratch, width);
        add("pass_from_blocks", pass_from_blocks, width);
    }
    Silence silence;
    if (setup.world.is_root())
        benchmark::RunSpecifiedBenchmarks();
    else
        benchmark::RunSpecifiedBenchmarks(&silence);
}

}  // namespace

int main(int argc, char** argv) {
    dense::ensure_blas_kernel(argv);
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) {
        benchmark::Initialize(&argc, argv);
        const int threads = std::max(1, available_cores() / world.split_by_node().size());
        const dense::BlasThreads blas_threads(threads);
        const char* given = std::getenv("ECKART_BENCH_MATRIX");
        const fs::path own = fs::temp_directory_path() / "eckart-bench-fused-pass";
        if (given == nullptr && world.is_root()) {
            fs::create_directories(own);
            write_text_like(own);
        }
        world.barrier();
        {
            const matrix::MatrixReader reader(given != nullptr ? fs::path(given) : own);
            Progress silent = Progress::silent();
            const svd::CoupledColumns columns =
                svd::coupled_columns(world, reader, matrix::RowWeight::uniform, silent);
            run_benchmarks({world, reader, columns, threads});
        }
        world.barrier();
        if (given == nullptr && world.is_root()) fs::remove_all(own);
        return 0;
    });
}
