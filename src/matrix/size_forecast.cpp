#include "eckart/matrix/size_forecast.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/ngrams/corpus_counter.hpp"
#include "eckart/ngrams/row_collector.hpp"
#include "eckart/ngrams/row_merger.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace eckart::matrix {

namespace {

/// The beginning of a corpus, counted; sums over all ranks.
struct Sample {
    double tokens = 0, ngrams = 0, bytes = 0, contexts = 0, columns = 0;
    double merged_rows = 0, merged_nonzeros = 0, one_hot_rows = 0, pairs = 0;
    double record_bytes = 0;
    double seconds = 0;
};

/// Merged rows of this rank, their non-zeros, and the squares of these.
std::array<std::int64_t, 3> merge(ngrams::RowBuckets& buckets) {
    std::vector<std::uint32_t> words;
    for (std::int64_t bucket = 0; bucket < buckets.count(); ++bucket) buckets.take(bucket, words);
    std::array<std::int64_t, 3> sums{};
    ngrams::RowMerger().merge(words, [&](const ngrams::RowView& row) {
        const auto size = static_cast<std::int64_t>(row.size);
        ++sums[0], sums[1] += size, sums[2] += size * size;
    });
    return sums;
}

Sample sums_of(const mpi::Communicator& comm, const text::ReadCounts& read, ngrams::RowCollector& rows,
               ngrams::RowBuckets& buckets) {
    auto& one_hot = rows.one_hot_multiplicity();
    mpi::all_sum(comm, std::span(one_hot));
    mpi::all_max(comm, std::span(rows.occurs()));
    std::int64_t one_hot_contexts = 0, one_hot_rows = 0, columns = 0;
    for (std::size_t token = 0; token < one_hot.size(); ++token) {
        one_hot_contexts += one_hot[token];
        one_hot_rows += one_hot[token] > 0 ? 1 : 0;
        columns += one_hot[token] > 0 || rows.occurs()[token] != 0 ? 1 : 0;
    }
    const auto merged = merge(buckets);
    std::int64_t sums[] = {read.tokens, read.expected_ngrams, read.bytes, rows.rows(), merged[0], merged[1],
                           merged[2]};
    mpi::all_sum(comm, std::span<std::int64_t>(sums));
    const auto number = [](std::int64_t count) { return static_cast<double>(count); };
    return {.tokens = number(sums[0]),
            .ngrams = number(sums[1]),
            .bytes = number(sums[2]),
            .contexts = number(one_hot_contexts + sums[3]),
            .columns = number(columns),
            .merged_rows = number(one_hot_rows + sums[4]),
            .merged_nonzeros = number(one_hot_rows + sums[5]),
            .one_hot_rows = number(one_hot_rows),
            .pairs = number(sums[6])};
}

/// Counts about `tokens` tokens a rank from the beginning of its shards. Collective.
Sample count_sample(const mpi::Communicator& comm, const text::Corpus& corpus, const MatrixOptions& options,
                    std::int64_t tokens, const Progress& progress) {
    constexpr int bucket_bits = 8;
    constexpr std::int64_t least = std::int64_t{48} << 20;
    const std::int64_t memory = std::max(options.memory_bytes / 4, least);
    ngrams::Checkpoints scratch(comm, options.directory / "checkpoint.json",
                                options.scratch / fmt::format("plan-{:05}", comm.rank()), {});
    const auto counter =
        ngrams::NgramCounter::make(comm, {.order = options.order,
                                          .vocabulary = corpus.vocabulary_size(),
                                          .min_count = static_cast<std::uint64_t>(options.min_count),
                                          .memory_bytes = memory,
                                          .scratch = scratch.directory()});
    const double start = progress.seconds();
    const text::ReadCounts read = ngrams::count_beginning(comm, corpus, *counter, tokens);
    counter->exchange();
    ngrams::RowBuckets buckets(bucket_bits, memory / 3, scratch.directory() / "rows.spill");
    ngrams::RowCollector rows(corpus.vocabulary_size(), buckets);
    counter->for_each_context(rows, ngrams::whole_corpus);
    Sample sample = sums_of(comm, read, rows, buckets);
    sample.record_bytes = static_cast<double>(counter->record_bytes());
    sample.seconds = std::max(progress.seconds() - start, 1e-6);
    return sample;
}

}  // namespace

nlohmann::json to_json(const SizeForecast& forecast) {
    return {{"sampled_tokens", forecast.sampled_tokens},
            {"tokens_per_second", forecast.tokens_per_second},
            {"tokens", forecast.tokens},
            {"ngrams", forecast.ngrams},
            {"contexts", forecast.contexts},
            {"columns", forecast.columns},
            {"merged_rows", forecast.merged_rows},
            {"merged_nonzeros", forecast.merged_nonzeros},
            {"one_hot_rows", forecast.one_hot_rows},
            {"pairs", forecast.pairs},
            {"matrix_bytes", forecast.matrix_bytes},
            {"record_bytes", forecast.record_bytes},
            {"least_memory_bytes", forecast.least_memory_bytes}};
}

SizeForecast forecast_sizes(const mpi::Communicator& comm, const text::Corpus& corpus,
                            const MatrixOptions& options, Progress& progress) {
    constexpr std::int64_t sample_tokens = std::int64_t{4} << 20;
    constexpr double block_bytes_a_nonzero = 16;  // index, count, and a share of the row's pointer and sums
    progress.begin("counting a sample");
    const Sample quarter = count_sample(comm, corpus, options, sample_tokens / 4, progress);
    const Sample sample = count_sample(comm, corpus, options, sample_tokens, progress);
    progress.end();

    const double scale = std::max(1.0, static_cast<double>(corpus.bytes()) / std::max(sample.bytes, 1.0));
    const auto grown = [&](double Sample::*what) {
        const double ratio = sample.tokens / std::max(quarter.tokens, 1.0);
        if (ratio <= 1 || quarter.*what <= 0) return sample.*what * scale;
        return sample.*what * std::pow(scale, std::log(sample.*what / quarter.*what) / std::log(ratio));
    };
    SizeForecast sizes;
    sizes.sampled_tokens = sample.tokens;
    sizes.tokens_per_second = sample.tokens / sample.seconds / comm.size();
    sizes.tokens = sample.tokens * scale;
    sizes.ngrams = sample.ngrams * scale;
    const double all = std::min(grown(&Sample::contexts), sizes.ngrams);
    const bool sampled = options.samples.front() != all_contexts;
    sizes.contexts = sampled ? std::min(all, static_cast<double>(options.samples.front())) : all;
    const double kept = sizes.contexts / std::max(all, 1.0);
    sizes.columns = std::min(grown(&Sample::columns), static_cast<double>(corpus.vocabulary_size()));
    sizes.merged_rows = std::min(grown(&Sample::merged_rows) * kept, sizes.contexts);
    sizes.merged_nonzeros = std::min(grown(&Sample::merged_nonzeros) * kept, sizes.ngrams);
    sizes.one_hot_rows = std::min(grown(&Sample::one_hot_rows) * kept, sizes.columns);
    sizes.pairs = grown(&Sample::pairs) * kept;
    sizes.matrix_bytes = sizes.merged_nonzeros * block_bytes_a_nonzero;
    sizes.record_bytes = sample.record_bytes;
    sizes.least_memory_bytes = static_cast<double>(memory_for(0, corpus.vocabulary_size()));
    return sizes;
}

}  // namespace eckart::matrix
