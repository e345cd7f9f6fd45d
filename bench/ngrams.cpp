// The matrix stage against its limits, on the same 5-grams in one run: a bare radix sort of the packed
// records (the limit) and the same in memory that is new to the process (as a program of its own would have
// it), std::sort, vqsort and a hash count (other ways to count), memory touched for the first time and the
// disk (what the system takes), then Eckart's counter, its whole matrix stage in memory (token file to
// finished matrix directory), and the same with a tenth of the memory that the records take.
// ECKART_BENCH_TOKENS=FILE takes 16-bit tokens from a file (separator ECKART_BENCH_SEPARATOR, default 1)
// instead of a Zipf law; ECKART_BENCH_DIR is where files go. items_per_second is tokens (n-grams) per second.
// On several ranks: mpirun -n 2 bench-ngrams --benchmark_filter=matrix_stage

#include "eckart/base/progress.hpp"
#include "eckart/matrix/make_matrix.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/ngrams/counter.hpp"
#include "eckart/ngrams/packing.hpp"
#include "eckart/ngrams/page_pool.hpp"
#include "eckart/ngrams/sort.hpp"
#include "eckart/ngrams/spill_file.hpp"
#include "eckart/text/corpus.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <unistd.h>

using namespace eckart;
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t vocabulary = 32000;
constexpr int order = 5;

const mpi::Communicator& world() {
    static const mpi::Communicator comm = mpi::Communicator::world();
    return comm;
}

std::string environment(const char* name, const std::string& otherwise) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : otherwise;
}

/// The tokens, in memory and as a file in a folder that the ranks share.
struct Tokens {
    fs::path folder = fs::path(environment("ECKART_BENCH_DIR", fs::temp_directory_path())) /
                      fmt::format("eckart-bench-{}", mpi::broadcast(world(), std::int64_t{::getpid()}));
    fs::path file = folder / "tokens.bin";
    std::vector<std::uint32_t> ids;
    bool made_here = world().is_root();

    Tokens() {
        std::vector<std::uint16_t> words = load();
        if (made_here) {
            fs::create_directories(folder);
            std::ofstream(file, std::ios::binary)
                .write(reinterpret_cast<const char*>(words.data()),
                       static_cast<std::streamsize>(2 * words.size()));
        }
        ids.assign(words.begin(), words.end());
        world().barrier();
    }
    ~Tokens() {
        if (made_here) fs::remove_all(folder);
    }
    Tokens(Tokens&&) = delete;
    std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }

private:
    static std::vector<std::uint16_t> load() {
        if (const char* path = std::getenv("ECKART_BENCH_TOKENS")) {
            std::vector<std::uint16_t> words(fs::file_size(path) / 2);
            std::ifstream(path, std::ios::binary)
                .read(reinterpret_cast<char*>(words.data()), static_cast<std::streamsize>(2 * words.size()));
            return words;
        }
        // Zipf's law by inversion, with some memory: every other token depends on the one before.
        std::mt19937_64 random(1);
        std::uniform_real_distribution<double> uniform;
        std::vector<std::uint16_t> words(50'000'000);
        for (std::size_t i = 0; i < words.size(); ++i) {
            const auto drawn = static_cast<std::uint32_t>(std::pow(vocabulary - 2.0, uniform(random)));
            const bool follows = i > 0 && (random() & 1) != 0;
            words[i] = static_cast<std::uint16_t>(2 + (follows ? words[i - 1] * 31U + drawn % 3 : drawn) %
                                                          (vocabulary - 2));
        }
        return words;
    }
};

const Tokens& tokens() {
    static const Tokens instance;
    return instance;
}

/// All 5-grams as the words that a sort must bring together.
std::vector<std::uint64_t> packed() {
    const ngrams::Packing<std::uint64_t> packing(order, vocabulary);
    std::vector<std::uint64_t> words;
    std::uint64_t context = 0;
    for (const std::uint32_t token : tokens().ids) {
        words.push_back(packing.record(packing.key(context), token));
        context = packing.push(context, token);
    }
    return words;
}

/// Eight passes of one byte each, least first.
void radix_sort(std::vector<std::uint64_t>& words, std::vector<std::uint64_t>& other) {
    std::array<std::array<std::size_t, 256>, 8> counts{};
    for (const std::uint64_t word : words)
        for (std::size_t digit = 0; digit < 8; ++digit) ++counts[digit][(word >> (8 * digit)) & 255];
    for (std::size_t digit = 0; digit < 8; ++digit) {
        std::size_t sum = 0;
        for (auto& count : counts[digit]) sum += std::exchange(count, sum);
        for (const std::uint64_t word : words) other[counts[digit][(word >> (8 * digit)) & 255]++] = word;
        words.swap(other);
    }
}

template <typename Work>
void on_packed(benchmark::State& state, Work work) {
    const std::vector<std::uint64_t> all = packed();
    for (auto _ : state) {
        state.PauseTiming();
        std::vector<std::uint64_t> words = all;
        state.ResumeTiming();
        work(words);
        benchmark::DoNotOptimize(words.data());
    }
    state.SetItemsProcessed(state.iterations() * tokens().size());
}

void bare_radix_sort(benchmark::State& state) {
    std::vector<std::uint64_t> other(tokens().ids.size());
    on_packed(state, [&](auto& words) { radix_sort(words, other); });
}
/// The same as a program of its own would have it: the memory that it takes is new to it.
void radix_sort_in_new_memory(benchmark::State& state) {
    const std::vector<std::uint64_t> all = packed();
    for (auto _ : state) {
        std::vector<std::uint64_t> words = all, other(all.size());
        radix_sort(words, other);
        benchmark::DoNotOptimize(words.data());
    }
    state.SetItemsProcessed(state.iterations() * tokens().size());
}
void standard_sort(benchmark::State& state) {
    on_packed(state, [](auto& words) { std::sort(words.begin(), words.end()); });
}
void vectorised_sort(benchmark::State& state) {
    const ngrams::WordSorter sort;
    on_packed(state, [&](auto& words) { sort(std::span(words)); });
}
void hash_count(benchmark::State& state) {
    on_packed(state, [](auto& words) {
        std::vector<std::pair<std::uint64_t, std::uint32_t>> slots(std::bit_ceil(2 * words.size()));
        for (const std::uint64_t word : words) {
            std::size_t slot = word * 0x9e3779b97f4a7c15ULL >> (64 - std::countr_zero(slots.size()));
            while (slots[slot].second != 0 && slots[slot].first != word)
                slot = (slot + 1) & (slots.size() - 1);
            slots[slot].first = word;
            ++slots[slot].second;
        }
        benchmark::DoNotOptimize(slots.data());
    });
}

/// Memory that the process did not have before, as much as the records take, touched once.
void first_touch(benchmark::State& state) {
    for (auto _ : state) {
        const ngrams::PoolMemory memory(tokens().size() * ngrams::PagePool<std::uint64_t>::record_bytes);
        for (std::int64_t at = 0; at < memory.bytes(); at += 4096) memory.data()[at] = std::byte{1};
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * tokens().size());
    state.SetBytesProcessed(state.items_processed() * ngrams::PagePool<std::uint64_t>::record_bytes);
}
/// As many bytes as spilled records take, written, synced and read.
void disk(benchmark::State& state) {
    const std::vector<std::byte> bytes(std::size_t{1} << 20, std::byte{42});
    const std::int64_t count = tokens().size() * 8 / std::ssize(bytes);
    for (auto _ : state) {
        ngrams::SpillFile file(tokens().folder / "disk");
        std::vector<ngrams::Segment> segments;
        for (std::int64_t i = 0; i < count; ++i) segments.push_back(file.append(bytes));
        file.sync();
        std::vector<std::byte> back;
        for (const ngrams::Segment& segment : segments) back = file.read(segment, std::move(back));
        file.remove();
    }
    state.SetBytesProcessed(state.iterations() * count * std::ssize(bytes));
}

/// Cut, spread over partitions, sorted, contexts cut, rows hashed: all but the merging and writing of rows.
void counter(benchmark::State& state) {
    for (auto _ : state) {
        const auto counter = ngrams::NgramCounter::make(world(), {.order = order,
                                                                  .vocabulary = vocabulary,
                                                                  .memory_bytes = tokens().size() * 14,
                                                                  .scratch = tokens().folder});
        counter->add(tokens().ids);
        counter->exchange();
        ngrams::RowBuckets buckets(8, tokens().size() * 8, tokens().folder / "rows.spill");
        ngrams::RowCollector rows(vocabulary, buckets);
        counter->for_each_context(rows, ngrams::whole_corpus);
        benchmark::DoNotOptimize(rows.rows());
    }
    state.SetItemsProcessed(state.iterations() * tokens().size());
}

/// The whole of eckart-matrix on a token file; a rank holds so many bytes of records before it spills.
void matrix_stage(benchmark::State& state, std::int64_t records) {
    text::CorpusOptions reading;
    reading.order = order;
    reading.vocabulary = vocabulary;
    reading.separator = std::stoi(environment("ECKART_BENCH_SEPARATOR", "1"));
    tokens();
    matrix::Manifest made;
    for (auto _ : state) {
        Progress progress = Progress::silent();
        text::Corpus corpus = text::Corpus::open({tokens().file.string()}, reading);
        corpus.prepare(world(), progress);
        matrix::MatrixOptions options;
        options.directory = tokens().folder / "matrix";
        options.scratch = tokens().folder / "scratch";
        options.memory_bytes =
            matrix::fixed_memory(corpus) + matrix::MemoryShares::for_records(records).total();
        fs::create_directories(options.directory);
        made = matrix::make_matrices(world(), corpus, options, {}, {}, progress).front();
    }
    state.SetItemsProcessed(state.iterations() * tokens().size());
    state.counters["spilled"] = made.statistics.at("spilled_bytes").get<double>();
    state.counters["exchanged"] = made.statistics.at("exchanged_bytes").get<double>();
    if (world().is_root()) state.counters["written"] = made.statistics.at("written_bytes").get<double>();
    for (const auto& stage : made.stages)
        state.counters[stage.at("name").get<std::string>()] = stage.at("seconds").get<double>();
}
void matrix_stage_in_memory(benchmark::State& state) {
    matrix_stage(state, std::int64_t{3} << 30);
}
/// The records may take a tenth of what they are.
void matrix_stage_spilling(benchmark::State& state) {
    const std::int64_t records = tokens().size() * ngrams::PagePool<std::uint64_t>::record_bytes;
    matrix_stage(state, records / world().size() / 10);
}

BENCHMARK(bare_radix_sort)->Unit(benchmark::kMillisecond);
BENCHMARK(radix_sort_in_new_memory)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(standard_sort)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(vectorised_sort)->Unit(benchmark::kMillisecond);
BENCHMARK(hash_count)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(first_touch)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(disk)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(counter)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);
BENCHMARK(matrix_stage_spilling)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);
BENCHMARK(matrix_stage_in_memory)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

/// Ranks other than the first take part and are silent.
class Silent final : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>&) override {}
};

}  // namespace

int main(int argc, char** argv) {
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& comm) {
        benchmark::Initialize(&argc, argv);
        Silent silent;
        if (comm.is_root())
            benchmark::RunSpecifiedBenchmarks();
        else
            benchmark::RunSpecifiedBenchmarks(&silent);
        return 0;
    });
}
