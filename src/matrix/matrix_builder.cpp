#include "eckart/matrix/matrix_builder.hpp"

#include "eckart/io/artefact.hpp"
#include "eckart/matrix/block_file.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/ngrams/row_merger.hpp"

#include <algorithm>
#include <bit>
#include <future>
#include <memory>
#include <numeric>

namespace eckart::matrix {

namespace {

/// How the row buckets are cut into blocks, the blocks into files, and the files dealt to ranks. All but the
/// last depends on the matrix alone.
class Layout {
public:
    Layout(std::int64_t nonzeros, std::int64_t buckets, std::int64_t block_nonzeros, int ranks)
        : ranks_(ranks) {
        constexpr std::uint64_t fewest_blocks = 8;
        constexpr std::int64_t most_files = 1024;
        const auto wanted = static_cast<std::uint64_t>(nonzeros / block_nonzeros + 1);
        blocks_ =
            std::min(buckets, static_cast<std::int64_t>(std::bit_ceil(std::max(fewest_blocks, wanted))));
        buckets_a_block_ = buckets / blocks_;
        blocks_a_file_ = std::max<std::int64_t>(1, blocks_ / most_files);
    }
    std::int64_t files() const { return blocks_ / blocks_a_file_; }
    std::int64_t blocks_a_file() const { return blocks_a_file_; }
    std::int64_t buckets_a_block() const { return buckets_a_block_; }
    std::int64_t first_file(int rank) const { return (rank * files() + ranks_ - 1) / ranks_; }
    std::int64_t end_file(int rank) const { return first_file(rank + 1); }
    /// Rounds in which every rank makes one block or none.
    std::int64_t rounds() const { return (files() + ranks_ - 1) / ranks_ * blocks_a_file_; }
    /// The block that a rank makes in a round, or -1.
    std::int64_t block(int rank, std::int64_t round) const {
        const std::int64_t block = first_file(rank) * blocks_a_file_ + round;
        return block < end_file(rank) * blocks_a_file_ ? block : -1;
    }

private:
    int ranks_;
    std::int64_t blocks_, buckets_a_block_, blocks_a_file_;
};

/// What a rank learns of the merged matrix while it writes its blocks.
struct Sums {
    std::int64_t rows = 0, nonzeros = 0;
    ExactSum frobenius_squared, weighted_frobenius;
    Digest digest;
};

/// A matrix being made from rows.
class Builder {
public:
    Builder(const mpi::Communicator& comm, const BuildOptions& options, Manifest& manifest,
            ngrams::RowBuckets& buckets)
        : comm_(comm), options_(options), manifest_(manifest), buckets_(buckets) {}

    void make_columns(ngrams::RowCollector& rows);
    void write_blocks(std::int64_t row_nonzeros, Progress& progress);
    void finish();
    void write_columns_file() const { write_columns(options_.directory, columns_); }

private:
    void exchange(const Layout& layout, std::int64_t round);
    std::span<const std::uint32_t> rows_of_round() const;
    void make_block();
    void add_row(const ngrams::RowView& row);
    void write_in_background(const Layout& layout, std::int64_t number);
    void write(const Layout& layout, std::int64_t number);
    void gather_entries();

    const mpi::Communicator& comm_;
    const BuildOptions& options_;
    Manifest& manifest_;
    ngrams::RowBuckets& buckets_;
    Columns columns_;
    std::vector<std::int32_t> column_of_token_;
    Sums sums_;
    // One block's memory serves the next.
    std::vector<std::uint32_t> words_;
    mpi::Received<std::uint32_t> received_;
    ngrams::RowMerger merger_;
    CsrBlock block_;
    std::vector<std::int32_t> indices_;
    std::vector<std::uint64_t> counts_;
    // The background's until `writing_` is done, which therefore comes last.
    CsrBlock being_written_;
    std::unique_ptr<BlockFileWriter> writer_;
    std::vector<BlockEntry> entries_;
    std::future<void> writing_;
};

/// Numbers the tokens that occur as a successor; the one-hot rows are complete with that.
void Builder::make_columns(ngrams::RowCollector& rows) {
    auto& multiplicity = rows.one_hot_multiplicity();
    auto& weight = rows.one_hot_weight();
    mpi::all_sum(comm_, std::span(multiplicity));
    mpi::all_sum(comm_, std::span(weight));
    mpi::all_max(comm_, std::span(rows.occurs()));
    column_of_token_.assign(multiplicity.size(), -1);
    for (std::size_t token = 0; token < multiplicity.size(); ++token) {
        if (multiplicity[token] == 0 && rows.occurs()[token] == 0) continue;
        column_of_token_[token] = static_cast<std::int32_t>(columns_.token_ids.size());
        columns_.token_ids.push_back(static_cast<std::int64_t>(token));
        columns_.one_hot_multiplicity.push_back(multiplicity[token]);
        columns_.one_hot_weight.push_back(weight[token]);
        if (!options_.pieces.empty()) columns_.pieces.push_back(options_.pieces.at(token));
        if (multiplicity[token] > 0) ++manifest_.one_hot_rows;
        manifest_.one_hot_contexts += multiplicity[token];
        manifest_.ngrams += weight[token];
    }
    manifest_.columns = static_cast<std::int64_t>(columns_.token_ids.size());
    manifest_.ngrams += mpi::all_sum(comm_, rows.ngrams());
    manifest_.contexts = manifest_.one_hot_contexts + mpi::all_sum(comm_, rows.rows());
}

/// Brings the rows of this rank's block of the round together, from all ranks.
void Builder::exchange(const Layout& layout, std::int64_t round) {
    words_.clear();
    std::vector<std::int64_t> counts(static_cast<std::size_t>(comm_.size()));
    for (int rank = 0; rank < comm_.size(); ++rank) {
        const std::size_t before = words_.size();
        const std::int64_t block = layout.block(rank, round);
        for (std::int64_t i = 0; block >= 0 && i < layout.buckets_a_block(); ++i)
            buckets_.take(block * layout.buckets_a_block() + i, words_);
        counts[static_cast<std::size_t>(rank)] = static_cast<std::int64_t>(words_.size() - before);
    }
    if (comm_.size() > 1) mpi::all_to_all<std::uint32_t>(comm_, words_, counts, received_);
}

std::span<const std::uint32_t> Builder::rows_of_round() const {
    return comm_.size() > 1 ? received_.values : words_;
}

void Builder::add_row(const ngrams::RowView& row) {
    indices_.clear();
    counts_.clear();
    indices_.reserve(row.size);
    counts_.reserve(row.size);
    Wide squares = 0;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < row.size; ++i) {
        const std::uint64_t count = row.count(i);
        indices_.push_back(column_of_token_[row.content[i]]);
        counts_.push_back(count);
        squares += Wide{count} * count;
        total += count;
    }
    const auto multiplicity = static_cast<std::int64_t>(row.multiplicity),
               weight = static_cast<std::int64_t>(row.weight);
    const ExactSum energy = ExactSum::ratio(squares, Wide{total} * total);
    sums_.frobenius_squared.add(row.multiplicity, energy);
    sums_.weighted_frobenius.add(row.weight, energy);
    sums_.digest += row_digest(columns_.token_ids, indices_, counts_, multiplicity, weight);
    block_.append_row(indices_, counts_, multiplicity, weight);
}

void Builder::make_block() {
    block_.clear();
    block_.columns = manifest_.columns;
    merger_.merge(rows_of_round(), [&](const ngrams::RowView& row) { add_row(row); });
    sums_.rows += block_.rows();
    sums_.nonzeros += block_.nonzeros();
}

/// Blocks without rows are left out, and files without blocks.
void Builder::write_blocks(std::int64_t row_nonzeros, Progress& progress) {
    const Layout layout(mpi::all_sum(comm_, row_nonzeros), buckets_.count(), options_.block_nonzeros,
                        comm_.size());
    progress.begin("merging rows, writing blocks", layout.rounds(), "rounds");
    for (std::int64_t round = 0; round < layout.rounds(); ++round) {
        exchange(layout, round);
        const std::int64_t number = layout.block(comm_.rank(), round);
        mpi::agree(comm_, [&] {
            if (number < 0) return;
            make_block();
            write_in_background(layout, number);
        });
        progress.update(round + 1);
    }
    mpi::agree(comm_, [&] {
        if (writing_.valid()) writing_.get();
    });
    gather_entries();
}

/// The block that was made goes to the disk, and its file if that is whole, while the next block is made: one
/// at a time, so that two blocks are held.
void Builder::write_in_background(const Layout& layout, std::int64_t number) {
    if (writing_.valid()) writing_.get();
    std::swap(block_, being_written_);
    writing_ = std::async(std::launch::async, [this, layout, number] { write(layout, number); });
}

void Builder::write(const Layout& layout, std::int64_t number) {
    if (being_written_.rows() > 0) {
        if (!writer_)
            writer_ = std::make_unique<BlockFileWriter>(options_.directory, number / layout.blocks_a_file(),
                                                        manifest_.provenance, options_.deflate_level);
        writer_->add(number, being_written_);
    }
    if (!writer_ || (number + 1) % layout.blocks_a_file() != 0) return;
    const std::vector<BlockEntry> written = writer_->commit();
    entries_.insert(entries_.end(), written.begin(), written.end());
    writer_.reset();
}

/// Blocks of all ranks, in the order of their numbers.
void Builder::gather_entries() {
    Manifest part;
    part.blocks = std::move(entries_);
    manifest_.blocks.clear();
    for (const std::string& text : mpi::all_gather(comm_, to_json(part).dump())) {
        const Manifest other = manifest_from_json(nlohmann::json::parse(text), "the blocks of a rank");
        manifest_.blocks.insert(manifest_.blocks.end(), other.blocks.begin(), other.blocks.end());
    }
}

void Builder::finish() {
    manifest_.merged_rows = manifest_.one_hot_rows + mpi::all_sum(comm_, sums_.rows);
    manifest_.merged_nonzeros = manifest_.one_hot_rows + mpi::all_sum(comm_, sums_.nonzeros);
    ExactSum squared = mpi::all_sum(comm_, sums_.frobenius_squared);
    squared += ExactSum(static_cast<std::uint64_t>(manifest_.one_hot_contexts), 0);
    manifest_.frobenius_squared = squared;
    ExactSum weighted = mpi::all_sum(comm_, sums_.weighted_frobenius);
    for (const std::int64_t weight : columns_.one_hot_weight)
        weighted += ExactSum(static_cast<std::uint64_t>(weight), 0);
    manifest_.frobenius_squared_by_count =
        weighted.value() / static_cast<double>(std::max<std::int64_t>(1, manifest_.ngrams));
    manifest_.digest = mpi::all_sum(comm_, sums_.digest);
    manifest_.digest += header_digest(manifest_, columns_);
}

}  // namespace

Manifest build_matrix(const mpi::Communicator& comm, const BuildOptions& options, Manifest facts,
                      ngrams::RowCollector& rows, ngrams::RowBuckets& buckets, Progress& progress) {
    Manifest manifest = std::move(facts);
    Builder builder(comm, options, manifest, buckets);
    builder.make_columns(rows);
    manifest.nonzeros = manifest.one_hot_contexts + mpi::all_sum(comm, rows.nonzeros());
    builder.write_blocks(rows.nonzeros(), progress);
    builder.finish();
    mpi::agree(comm, [&] {
        if (comm.is_root()) builder.write_columns_file();
    });
    return manifest;
}

}  // namespace eckart::matrix
