#include "eckart/matrix/forecast.hpp"

#include "eckart/base/memory_plan.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/ngrams/corpus_counter.hpp"
#include "eckart/ngrams/row_collector.hpp"
#include "eckart/ngrams/row_merger.hpp"
#include "eckart/ngrams/spill_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace eckart::matrix {

namespace {

/// The beginning of a corpus, counted: sums over all ranks, and seconds of the slowest.
struct Sample {
    double tokens = 0, ngrams = 0, bytes = 0, contexts = 0, columns = 0;
    double merged_rows = 0, merged_nonzeros = 0, one_hot_rows = 0, pairs = 0;
    double record_bytes = 0, row_bytes = 0;
    double counting = 0, cutting = 0, merging = 0;
};

struct Merged {
    std::int64_t rows = 0, nonzeros = 0, squares = 0, bytes_before = 0;
};
Merged merge(ngrams::RowBuckets& buckets) {
    std::vector<std::uint32_t> words;
    for (std::int64_t bucket = 0; bucket < buckets.count(); ++bucket) buckets.take(bucket, words);
    Merged sums{.bytes_before = std::ssize(words) * std::int64_t{sizeof(std::uint32_t)}};
    ngrams::RowMerger().merge(words, [&](const ngrams::RowView& row) {
        const auto size = static_cast<std::int64_t>(row.size);
        ++sums.rows, sums.nonzeros += size, sums.squares += size * size;
    });
    return sums;
}

Sample sums_of(const mpi::Communicator& comm, const text::ReadCounts& read, ngrams::RowCollector& rows,
               const Merged& merged) {
    auto& one_hot = rows.one_hot_multiplicity();
    mpi::all_sum(comm, std::span(one_hot));
    mpi::all_max(comm, std::span(rows.occurs()));
    std::int64_t one_hot_contexts = 0, one_hot_rows = 0, columns = 0;
    for (std::size_t token = 0; token < one_hot.size(); ++token) {
        one_hot_contexts += one_hot[token];
        one_hot_rows += one_hot[token] > 0 ? 1 : 0;
        columns += one_hot[token] > 0 || rows.occurs()[token] != 0 ? 1 : 0;
    }
    std::int64_t sums[] = {read.tokens, read.expected_ngrams, read.bytes,     rows.rows(),
                           merged.rows, merged.nonzeros,      merged.squares, merged.bytes_before};
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
            .pairs = number(sums[6]),
            .row_bytes = number(sums[7])};
}

/// Bytes a second that a rank's scratch takes, synced, while all ranks write.
double disk_rate(const mpi::Communicator& comm, const std::filesystem::path& directory, Progress& progress) {
    constexpr std::int64_t bytes = std::int64_t{64} << 20, piece = std::int64_t{1} << 20;
    comm.barrier();
    const double start = progress.seconds();
    mpi::agree(comm, [&] {
        ngrams::SpillFile file(directory / "disk.spill");
        const std::vector<std::byte> zeros(piece);
        for (std::int64_t at = 0; at < bytes; at += piece) file.append(zeros);
        file.sync();
        file.remove();
    });
    return static_cast<double>(bytes) / mpi::all_max(comm, std::max(progress.seconds() - start, 1e-6));
}

/// Counts about `tokens` tokens a rank from the beginning of its shards. Collective.
Sample count_sample(const mpi::Communicator& comm, const text::Corpus& corpus, const MatrixOptions& options,
                    std::int64_t tokens, const std::filesystem::path& scratch, Progress& progress) {
    constexpr int bucket_bits = 8;
    const MemoryShares shares = MemoryShares::of(options.memory_bytes / 4);
    const auto counter =
        ngrams::NgramCounter::make(comm, {.order = options.order,
                                          .vocabulary = corpus.vocabulary_size(),
                                          .min_count = static_cast<std::uint64_t>(options.min_count),
                                          .memory_bytes = shares.records,
                                          .scratch = scratch});
    double last = progress.seconds();
    const auto lap = [&] {
        const double now = progress.seconds();
        return std::max(1e-6, mpi::all_max(comm, now - std::exchange(last, now)));
    };
    const text::ReadCounts read = ngrams::count_beginning(comm, corpus, *counter, tokens);
    counter->exchange();
    const double counting = lap();
    ngrams::RowBuckets buckets(bucket_bits, shares.rows, scratch / "rows.spill");
    ngrams::RowCollector rows(corpus.vocabulary_size(), buckets);
    counter->for_each_context(rows, ngrams::whole_corpus);
    const double cutting = lap();
    const Merged merged = merge(buckets);
    const double merging = lap();
    Sample sample = sums_of(comm, read, rows, merged);
    sample.record_bytes = static_cast<double>(counter->record_bytes());
    sample.counting = counting, sample.cutting = cutting, sample.merging = merging;
    return sample;
}

/// Every number of a forecast by its name, for JSON both ways.
template <typename F, typename Visit>
void for_each_number(F& forecast, Visit visit) {
    visit("sampled_tokens", forecast.sampled_tokens);
    visit("tokens", forecast.tokens);
    visit("ngrams", forecast.ngrams);
    visit("contexts", forecast.contexts);
    visit("columns", forecast.columns);
    visit("merged_rows", forecast.merged_rows);
    visit("merged_nonzeros", forecast.merged_nonzeros);
    visit("one_hot_rows", forecast.one_hot_rows);
    visit("pairs", forecast.pairs);
    visit("record_bytes", forecast.record_bytes);
    visit("row_bytes", forecast.row_bytes);
    visit("matrix_bytes", forecast.matrix_bytes);
    visit("fixed_bytes", forecast.fixed_bytes);
    visit("counting_rate", forecast.counting_rate);
    visit("cutting_rate", forecast.cutting_rate);
    visit("merging_rate", forecast.merging_rate);
    visit("disk_rate", forecast.disk_rate);
}

MemoryShares shares_in(const Forecast& forecast, std::int64_t memory) {
    return MemoryShares::of(memory - static_cast<std::int64_t>(forecast.fixed_bytes));
}

}  // namespace

nlohmann::json to_json(const Forecast& forecast) {
    nlohmann::json json;
    for_each_number(forecast, [&](const char* name, double value) { json[name] = value; });
    return json;
}

Forecast forecast_from(const nlohmann::json& json) {
    Forecast forecast;
    for_each_number(forecast, [&](const char* name, double& value) { value = json.at(name).get<double>(); });
    return forecast;
}

bool Forecast::records_spill(int ranks, std::int64_t memory) const {
    return ngrams * record_bytes / ranks > static_cast<double>(shares_in(*this, memory).records);
}

double Forecast::held_bytes(int ranks, std::int64_t memory) const {
    return std::min(ngrams * record_bytes / ranks, static_cast<double>(shares_in(*this, memory).records));
}

double Forecast::spilled_bytes(int ranks, std::int64_t memory) const {
    const bool rows_spill = row_bytes / ranks > static_cast<double>(shares_in(*this, memory).rows);
    return (records_spill(ranks, memory) ? ngrams * record_bytes : 0) + (rows_spill ? row_bytes : 0);
}

/// A part of the work: what a rank does in a second, and how long it takes.
struct Forecast::Step {
    std::string name, rate;
    double seconds;
};

std::vector<Forecast::Step> Forecast::steps(int ranks, std::int64_t memory) const {
    const double share = tokens / ranks, times = records_spill(ranks, memory) ? 2 : 1;
    const auto rate = [](double number) { return format_count(number) + " tokens"; };
    return {
        {"read, cut, exchange", rate(counting_rate), share / counting_rate},
        {"sort, cut rows", rate(cutting_rate), times * share / cutting_rate},  // what spills is sorted twice
        {"merge rows", rate(merging_rate), share / merging_rate},
        {"disk: spills there and back, blocks", format_bytes(disk_rate),
         (2 * spilled_bytes(ranks, memory) + matrix_bytes) / ranks / disk_rate}};
}

double Forecast::seconds(int ranks, std::int64_t memory) const {
    double sum = 0;
    for (const Step& step : steps(ranks, memory)) sum += step.seconds;
    return sum;
}

std::string Forecast::describe(int ranks, std::int64_t memory) const {
    const double spilled = spilled_bytes(ranks, memory), sent = 1.0 - 1.0 / ranks;
    std::string text = fmt::format(
        "plan for {} ranks of {}, from {} tokens counted here and now:\n"
        "  {} tokens, {} n-grams, {} contexts, {} columns; merged: {} rows, {} non-zeros\n"
        "  exchanged {}, spilled {} (scratch of a rank: {}), matrix {}\n",
        ranks, format_bytes(static_cast<double>(memory)), format_count(sampled_tokens), format_count(tokens),
        format_count(ngrams), format_count(contexts), format_count(columns), format_count(merged_rows),
        format_count(merged_nonzeros), format_bytes(ngrams * record_bytes * sent), format_bytes(spilled),
        format_bytes(spilled / ranks), format_bytes(matrix_bytes));
    for (const Step& step : steps(ranks, memory))
        text += fmt::format("  {:<36} {:>12}/s a rank {:>10}\n", step.name, step.rate,
                            format_seconds(step.seconds));
    return text + fmt::format("  {:<58} {:>10}", "together", format_seconds(seconds(ranks, memory)));
}

Forecast forecast(const mpi::Communicator& comm, const text::Corpus& corpus, const MatrixOptions& options,
                  Progress& progress) {
    constexpr std::int64_t sample_tokens = std::int64_t{4} << 20;
    constexpr double block_bytes_a_nonzero = 16;  // index, count, and a share of the row's pointer and sums
    const ngrams::Checkpoints scratch(comm, options.directory / "checkpoint.json",
                                      options.scratch / fmt::format("plan-{:05}", comm.rank()), {});
    const auto count = [&](std::int64_t tokens) {
        return count_sample(comm, corpus, options, tokens, scratch.directory(), progress);
    };
    progress.begin("counting a sample");
    const Sample quarter = count(sample_tokens / 4), sample = count(sample_tokens);
    const double disk = disk_rate(comm, scratch.directory(), progress);
    progress.end();

    const double scale = std::max(1.0, static_cast<double>(corpus.bytes()) / std::max(sample.bytes, 1.0));
    const auto grown = [&](double Sample::*what) {
        const double ratio = sample.tokens / std::max(quarter.tokens, 1.0);
        if (ratio <= 1 || quarter.*what <= 0) return sample.*what * scale;
        return sample.*what * std::pow(scale, std::log(sample.*what / quarter.*what) / std::log(ratio));
    };
    Forecast result;
    result.sampled_tokens = sample.tokens;
    result.tokens = sample.tokens * scale;
    result.ngrams = sample.ngrams * scale;
    const double all = std::min(grown(&Sample::contexts), result.ngrams);
    const bool sampled = options.samples.front() != all_contexts;
    result.contexts = sampled ? std::min(all, static_cast<double>(options.samples.front())) : all;
    const double kept = result.contexts / std::max(all, 1.0);
    result.columns = std::min(grown(&Sample::columns), static_cast<double>(corpus.vocabulary_size()));
    result.merged_rows = std::min(grown(&Sample::merged_rows) * kept, result.contexts);
    result.merged_nonzeros = std::min(grown(&Sample::merged_nonzeros) * kept, result.ngrams);
    result.one_hot_rows = std::min(grown(&Sample::one_hot_rows) * kept, result.columns);
    result.pairs = grown(&Sample::pairs) * kept;
    result.record_bytes = sample.record_bytes;
    result.row_bytes = grown(&Sample::row_bytes) * kept;
    result.matrix_bytes = result.merged_nonzeros * block_bytes_a_nonzero;
    result.fixed_bytes = static_cast<double>(fixed_memory(corpus));
    // The ranks did their shares of the sample at once.
    const double share = sample.tokens / comm.size();
    result.counting_rate = share / sample.counting;
    result.cutting_rate = share / sample.cutting;
    result.merging_rate = share / sample.merging;
    result.disk_rate = disk;
    return result;
}

}  // namespace eckart::matrix
