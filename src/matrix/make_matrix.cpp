#include "eckart/matrix/make_matrix.hpp"

#include "eckart/base/memory_plan.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/matrix/context_file.hpp"
#include "eckart/matrix/matrix_builder.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/ngrams/corpus_counter.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

namespace eckart::matrix {

namespace fs = std::filesystem;

namespace {

/// Programs, libraries, MPI's own buffers and the reader's: outside the parts of the plan.
constexpr std::int64_t fixed_bytes = std::int64_t{84} << 20;

/// What a spill file holds of what is written, and of the runs that are read back.
constexpr std::int64_t spill_bytes = (std::int64_t{4} << 20) + ngrams::merge_bytes;

/// A block's rows as they were gathered, as they came, by their keys, and merged, made and on its way to
/// disk.
constexpr std::int64_t bytes_a_block_nonzero = 64;

/// One-hot rows as they are collected, then as columns, and the column of each token.
constexpr std::int64_t bytes_a_token = 17 + 24 + 4;

/// With less, runs would be too short to be worth a spill.
constexpr std::int64_t least_records = std::int64_t{48} << 20;

/// All but records and rows.
MemoryPlan fixed_plan(const text::Corpus& corpus, std::int64_t cap) {
    MemoryPlan plan(cap);
    plan.add("programs, libraries, readers", fixed_bytes);
    plan.add("words with their tokens, decompression", corpus.reading_bytes());
    plan.add("one-hot rows and columns, by token", corpus.vocabulary_size() * bytes_a_token);
    plan.add("buffers of the scratch file", spill_bytes);
    return plan;
}

MemoryShares plan_memory(const text::Corpus& corpus, const MatrixOptions& options, Progress& progress) {
    MemoryPlan plan = fixed_plan(corpus, options.memory_bytes);
    // The last matrix is made where the records were.
    if (options.samples.size() > 1)
        plan.add("a block beside the records", options.block_nonzeros * bytes_a_block_nonzero);
    const MemoryShares shares = MemoryShares::of(plan.left());
    plan.add("records", shares.records);
    plan.add("rows", shares.rows);
    plan.require_fits(
        fmt::format("give at least --memory {}", format_bytes(static_cast<double>(plan.total()))));
    progress.note("memory plan:\n" + plan.describe());
    return shares;
}

/// Rounds fill a quarter of the memory, and are short enough for progress, stops and checkpoints.
std::int64_t round_tokens(std::int64_t records_bytes) {
    constexpr std::int64_t bytes_a_record = 9, most = std::int64_t{16} << 20;
    return std::min(records_bytes / bytes_a_record / 4, most);
}

/// Row buckets: enough that one of them is a small part of memory, few enough to be written at once. A
/// function of the corpus alone.
int row_bucket_bits(std::int64_t expected_ngrams) {
    constexpr int least = 8, most = 16;
    constexpr std::int64_t ngrams_a_bucket = std::int64_t{1} << 20;
    return std::clamp(
        static_cast<int>(std::bit_width(static_cast<std::uint64_t>(expected_ngrams / ngrams_a_bucket))),
        least, most);
}

std::vector<std::string> pieces_of(const text::Corpus& corpus) {
    std::vector<std::string> pieces;
    if (corpus.has_pieces())
        for (std::int64_t token = 0; token < corpus.vocabulary_size(); ++token)
            pieces.push_back(corpus.piece(static_cast<text::TokenId>(token)));
    return pieces;
}

nlohmann::json stages_of(const Progress& progress) {
    nlohmann::json stages = nlohmann::json::array();
    for (const Progress::Step& step : progress.steps())
        stages.push_back({{"name", step.name}, {"seconds", step.seconds}, {"peak_bytes", step.peak_bytes}});
    return stages;
}

/// Sums and spreads over the ranks, for the manifest.
nlohmann::json statistics_of(const mpi::Communicator& comm, const ngrams::CounterStatistics& mine,
                             std::int64_t row_spill_bytes, double seconds, const text::ReadCounts& read) {
    std::int64_t sums[] = {mine.received, mine.sent_bytes, mine.spilled_bytes, mine.spilled_records,
                           row_spill_bytes};
    mpi::all_sum(comm, std::span<std::int64_t>(sums));
    const double mean = static_cast<double>(sums[0]) / comm.size();
    const auto most = static_cast<double>(mpi::all_max(comm, mine.received));
    const auto per_second = static_cast<double>(read.tokens) / std::max(seconds, 1e-9);
    return {{"ranks", comm.size()},
            {"tokens_per_second", per_second},
            {"tokens_per_second_per_rank", per_second / comm.size()},
            {"exchanged_bytes", sums[1]},
            {"spilled_bytes", sums[2]},
            {"spilled_records", sums[3]},
            {"spilled_row_bytes", sums[4]},
            {"imbalance", mean > 0 ? most / mean : 1.0},
            {"skipped_documents", read.skipped},
            {"peak_resident_bytes", mpi::all_max(comm, peak_resident_bytes())}};
}

/// What the finished files say about how well it went.
nlohmann::json outcome_of(const Manifest& manifest, const fs::path& directory) {
    std::int64_t written = 0;
    for (const auto& entry : fs::directory_iterator(directory))
        if (entry.is_regular_file()) written += static_cast<std::int64_t>(entry.file_size());
    const auto ratio = [](std::int64_t of, std::int64_t to) {
        return to > 0 ? static_cast<double>(of) / static_cast<double>(to) : 0.0;
    };
    return {{"written_bytes", written},
            {"written_bytes_per_ngram", ratio(written, manifest.ngrams)},
            {"merged_rows_per_context", ratio(manifest.merged_rows, manifest.contexts)},
            {"merged_nonzeros_per_nonzero", ratio(manifest.merged_nonzeros, manifest.nonzeros)}};
}

/// One matrix of the counted corpus: the contexts before `end`.
Manifest make_one(const mpi::Communicator& comm, const text::Corpus& corpus, const BuildOptions& options,
                  Manifest facts, ngrams::NgramCounter& counter, const ngrams::SamplePlace& end, bool last,
                  ngrams::RowBuckets& buckets, Progress& progress) {
    progress.begin("sorting, cutting rows");
    ngrams::RowCollector rows(corpus.vocabulary_size(), buckets);
    counter.for_each_context(rows, end);
    if (last) counter.release();
    progress.end();
    return build_matrix(comm, options, std::move(facts), rows, buckets, progress);
}

/// "100000", or "all" for 0.
std::string name_of(std::int64_t sample) {
    return sample == all_contexts ? "all" : std::to_string(sample);
}

}  // namespace

std::int64_t fixed_memory(const text::Corpus& corpus) {
    return fixed_plan(corpus, 0).total();
}

MemoryShares MemoryShares::of(std::int64_t left) {
    return for_records(left / 4 * 3);
}
MemoryShares MemoryShares::for_records(std::int64_t bytes) {
    const std::int64_t records = std::max(bytes, least_records);
    return {.records = records, .rows = records / 3};
}

fs::path matrix_directory(const MatrixOptions& options, std::int64_t sample) {
    return options.samples.size() == 1 ? options.directory
                                       : options.directory / ("contexts-" + name_of(sample));
}

nlohmann::json matrix_recipe(const nlohmann::json& corpus, const MatrixOptions& options,
                             std::int64_t sample) {
    return {{"corpus", corpus},
            {"order", options.order},
            {"min_count", options.min_count},
            {"keep_contexts", options.keep_contexts},
            {"sample_contexts", name_of(sample)}};
}

std::vector<Manifest> make_matrices(const mpi::Communicator& comm, const text::Corpus& corpus,
                                    const MatrixOptions& options, const nlohmann::json& corpus_recipe,
                                    const nlohmann::json& provenance, Progress& progress) {
    const double start = progress.seconds();
    MemoryShares shares;
    mpi::agree(comm, [&] { shares = plan_memory(corpus, options, progress); });
    constexpr int spill_format = 3;  // what an older one left is not continued
    const nlohmann::json key = {{"corpus", corpus_recipe},
                                {"order", options.order},
                                {"memory", shares.records},
                                {"spill_format", spill_format}};
    std::optional<ngrams::Checkpoints> checkpoints;
    mpi::agree(comm, [&] {
        checkpoints.emplace(comm, options.directory / "checkpoint.json",
                            options.scratch / fmt::format("rank-{:05}", comm.rank()), key);
    });
    const auto counter =
        ngrams::NgramCounter::make(comm, {.order = options.order,
                                          .vocabulary = corpus.vocabulary_size(),
                                          .min_count = static_cast<std::uint64_t>(options.min_count),
                                          .memory_bytes = shares.records,
                                          .scratch = checkpoints->directory()});
    const text::ReadCounts read = ngrams::count_corpus(
        comm, corpus, *counter,
        {.round_tokens = round_tokens(shares.records), .checkpoint_seconds = options.checkpoint_seconds},
        *checkpoints, progress);
    mpi::agree(comm, [&] {
        require(read.tokens > 0, "the corpus is empty: it holds no token");
        require(read.expected_ngrams > 0,
                "the corpus holds no {}-gram: none of its {} documents has {} tokens", options.order,
                read.documents, options.order);
    });
    Manifest facts;
    facts.order = options.order;
    facts.vocabulary = corpus.vocabulary_size();
    facts.tokenizer = corpus.describe_tokenizer();
    facts.documents = read.documents;
    facts.tokens = read.tokens;
    facts.expected_ngrams = read.expected_ngrams;
    facts.provenance = provenance;
    ngrams::RowBuckets buckets(row_bucket_bits(read.expected_ngrams), shares.rows,
                               checkpoints->directory() / "rows.spill");
    std::vector<Manifest> made;
    for (const std::int64_t sample : options.samples) {
        const fs::path directory = matrix_directory(options, sample);
        mpi::agree(comm, [&] {
            if (comm.is_root()) io::make_directory(directory);
        });
        const auto end = sample == all_contexts ? ngrams::whole_corpus : counter->sample_end(sample);
        if (options.keep_contexts)
            mpi::agree(comm, [&] {
                ContextFileWriter writer(directory, comm.rank(), options.order, corpus.vocabulary_size(),
                                         comm.is_root() ? pieces_of(corpus) : std::vector<std::string>{});
                counter->show_contexts(writer, end);
                writer.commit();
            });
        facts.recipe = matrix_recipe(corpus_recipe, options, sample);
        Manifest manifest =
            make_one(comm, corpus,
                     {.directory = directory,
                      .pieces = pieces_of(corpus),
                      .block_nonzeros = options.block_nonzeros,
                      .deflate_level = options.deflate_level},
                     facts, *counter, end, made.size() + 1 == options.samples.size(), buckets, progress);
        progress.end();
        mpi::agree(comm, [&] {
            require(options.min_count > 1 || sample != all_contexts ||
                        manifest.ngrams == manifest.expected_ngrams,
                    "counted {} n-grams where the documents' lengths say {}", manifest.ngrams,
                    manifest.expected_ngrams);
        });
        manifest.statistics = statistics_of(comm, counter->statistics(), buckets.spilled_bytes(),
                                            progress.seconds() - start, read);
        manifest.stages = stages_of(progress);
        mpi::agree(comm, [&] {
            if (!comm.is_root()) return;
            manifest.statistics.update(outcome_of(manifest, directory));
            write_manifest(directory, manifest);
        });
        made.push_back(std::move(manifest));
    }
    checkpoints->clear();
    return made;
}

}  // namespace eckart::matrix
