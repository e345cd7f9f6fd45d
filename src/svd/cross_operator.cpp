#include "eckart/svd/cross_operator.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <future>
#include <limits>
#include <optional>
#include <utility>

#include <omp.h>

namespace eckart::svd {

namespace {

std::int64_t tiles_of(std::int64_t columns) {
    return (columns + matrix::tile_width - 1) / matrix::tile_width;
}

struct Share {
    std::int64_t rows = 0, nonzeros = 0;
};
Share share_of(const matrix::MatrixReader& reader, int groups) {
    Share all;
    for (const matrix::BlockEntry& block : reader.manifest().blocks)
        all.rows += block.rows, all.nonzeros += block.nonzeros;
    return {all.rows / groups, all.nonzeros / groups};
}

std::int64_t products_bytes(const matrix::MatrixReader& reader, Share share, int threads) {
    return RowProducts::most_bytes(share.rows, share.nonzeros, reader.column_count(), threads);
}

/// The least memory in which a batch of any block can be made ready.
std::int64_t least_batch_bytes(const matrix::MatrixReader& reader, int threads) {
    std::int64_t least = 0;
    for (const matrix::BlockEntry& block : reader.manifest().blocks)
        least = std::max(least, products_bytes(reader, {block.rows, block.nonzeros}, threads));
    return least;
}

}  // namespace

std::int64_t nonzeros_of(const matrix::MatrixReader& reader) {
    return share_of(reader, 1).nonzeros;
}

std::int64_t kept_bytes(const matrix::MatrixReader& reader, const PassPlan& plan, int threads) {
    const Share share = share_of(reader, plan.groups);
    switch (plan.kept) {
        case Kept::products:
            return products_bytes(reader, share, threads) + reader.largest_block_bytes();
        case Kept::rows:
            return 12 * share.nonzeros + 8 * share.rows + reader.largest_block_bytes();
        case Kept::file:
            return plan.batch_bytes;
        case Kept::nothing:
            return 0;
    }
    throw Error("no such thing is kept");
}

std::int64_t pass_bytes(const matrix::MatrixReader& reader, std::int64_t width, const PassPlan& plan) {
    const std::int64_t strip = (width + plan.strips - 1) / plan.strips;
    const std::int64_t tiles = 2 * tiles_of(strip) * matrix::tile_width, exchange = 2 * matrix::tile_width;
    return reader.column_count() * (tiles + exchange) * static_cast<std::int64_t>(sizeof(double)) +
           5 * reader.largest_block_bytes();
}

std::int64_t exchanged_bytes(std::int64_t order, std::int64_t width, const PassPlan& plan) {
    const std::int64_t ranks = plan.groups * plan.strips;
    std::int64_t kept_here = 0;
    for (int rank = 0; rank < ranks; ++rank) {
        const std::int64_t rows = order * (rank + 1) / ranks - order * rank / ranks;
        const int strip = plan.strip(rank);
        kept_here += rows * (width * (strip + 1) / plan.strips - width * strip / plan.strips);
    }
    return 2 * (order * width * plan.groups - kept_here) * static_cast<std::int64_t>(sizeof(double));
}

namespace {

/// What is different between plans that keep the same: reading once, then a dozen passes with their exchange.
/// The rates are those of one core of an EPYC and of memory shared by two ranks; only their ratios matter.
double seconds_of(const matrix::MatrixReader& reader, std::int64_t width, const PassPlan& plan) {
    constexpr double passes = 12, read_nonzeros = 1.5e7, flops = 2e10, exchanged = 1e9;
    constexpr std::int64_t least = 16;  // columns that a core multiplies at its full rate
    const auto nonzeros = static_cast<double>(share_of(reader, plan.groups).nonzeros);
    const std::int64_t strip = (width + plan.strips - 1) / plan.strips;
    const double numbers = 2 * static_cast<double>(reader.column_count() * strip);
    return nonzeros / read_nonzeros +
           passes * (4 * nonzeros * static_cast<double>(std::max(strip, least)) / flops +
                     numbers * sizeof(double) / exchanged);
}

}  // namespace

PassPlan plan_pass(const matrix::MatrixReader& reader, int ranks, std::int64_t width,
                   const PassResources& resources) {
    constexpr std::int64_t scratch_a_nonzero = 32;  // two entries, and what their rows need
    const std::int64_t least_batch = least_batch_bytes(reader, resources.threads);
    for (const Kept kept : {Kept::products, Kept::rows, Kept::file, Kept::nothing}) {
        std::optional<PassPlan> best;
        for (int strips = 1; strips <= ranks; ++strips) {
            if (ranks % strips != 0) continue;
            PassPlan plan{ranks / strips, strips, kept, 0};
            const Share share = share_of(reader, plan.groups);
            const std::int64_t left = resources.memory - pass_bytes(reader, width, plan);
            if (kept == Kept::file) {
                // The more a batch has, the more its rows share; but some, so that reading is hidden.
                plan.batch_bytes = std::min(
                    left, std::max(least_batch, products_bytes(reader, share, resources.threads) / 8));
                if (plan.batch_bytes < least_batch ||
                    scratch_a_nonzero * share.nonzeros > resources.scratch_bytes)
                    continue;
            }
            constexpr std::int64_t most_rows = std::numeric_limits<std::int32_t>::max();  // of one product
            if (kept == Kept::products && share.rows > most_rows) continue;
            if (kept_bytes(reader, plan, resources.threads) > left) continue;
            const bool in_memory = kept == Kept::products || kept == Kept::rows;
            if (!best || (in_memory && seconds_of(reader, width, plan) < seconds_of(reader, width, *best)))
                best = plan;
        }
        if (best) return *best;
    }
    const std::int64_t least = pass_bytes(reader, width, {1, ranks, Kept::nothing, 0});
    throw Error(
        "a pass over panels of {} columns needs {} a rank, {} are left: use more ranks, a larger "
        "--memory or a smaller --block",
        width, format_bytes(static_cast<double>(least)), format_bytes(static_cast<double>(resources.memory)));
}

CrossOperator::CrossOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                             const CoupledColumns& split, matrix::RowWeight weight, PassPlan plan,
                             PassResources resources)
    : SymmetricOperator(comm, static_cast<std::int64_t>(split.coupled.size())),
      reader_(reader),
      split_(split),
      weight_(weight),
      plan_(plan),
      resources_(std::move(resources)),
      scratch_(static_cast<std::size_t>(resources_.threads)) {
    const std::vector<double> all = reader.one_hot_diagonal(weight);
    for (std::int64_t i = first_row(); i < first_row() + local_rows(); ++i)
        diagonal_.push_back(all[static_cast<std::size_t>(split.coupled[static_cast<std::size_t>(i)])]);
}

dense::TallMatrix CrossOperator::apply(const dense::Columns& x) {
    gather_strip(x);
    z_.assign(x_.size(), {});
    mpi::agree(comm(), [&] { add_rows(x.columns); });
    ++passes_;
    return scatter_strip(x);
}

/// Columns of tile `tile` of a strip, of a panel of `columns`.
CrossOperator::Range CrossOperator::tile_columns(std::int64_t columns, int strip, std::int64_t tile) const {
    const std::int64_t end = columns * (strip + 1) / plan_.strips;
    const std::int64_t first = std::min(end, columns * strip / plan_.strips + tile * matrix::tile_width);
    return {first, std::min(end, first + matrix::tile_width)};
}

std::int64_t CrossOperator::tiles_of_strip(std::int64_t columns, int strip) const {
    return tiles_of(columns * (strip + 1) / plan_.strips - columns * strip / plan_.strips);
}

namespace {

constexpr std::int64_t cached_rows = 64;  ///< of a tile, while its columns are gone through

/// Columns of `rows` numbers, one after the other, into the first columns of a tile.
void spread(const double* columns, std::int64_t rows, std::int64_t count, matrix::TileRow* tile) {
    for (std::int64_t first = 0; first < rows; first += cached_rows)
        for (std::int64_t j = 0; j < count; ++j)
            for (std::int64_t i = first; i < std::min(rows, first + cached_rows); ++i)
                tile[i].values[j] = columns[j * rows + i];
}

/// And back.
void collect(const matrix::TileRow* tile, std::int64_t rows, std::int64_t count, double* columns) {
    for (std::int64_t first = 0; first < rows; first += cached_rows)
        for (std::int64_t j = 0; j < count; ++j)
            for (std::int64_t i = first; i < std::min(rows, first + cached_rows); ++i)
                columns[j * rows + i] = tile[i].values[j];
}

}  // namespace

/// Tile after tile travels to the ranks whose strip it is in, so that what is under way stays small.
void CrossOperator::gather_strip(const dense::Columns& x) {
    const int own = plan_.strip(comm().rank());
    x_.assign(static_cast<std::size_t>(tiles_of_strip(x.columns, own) * size()), {});
    for (std::int64_t tile = 0; tile < tiles_of((x.columns + plan_.strips - 1) / plan_.strips); ++tile) {
        outgoing_.clear();
        std::vector<std::int64_t> counts;
        for (int rank = 0; rank < comm().size(); ++rank) {
            const Range range = tile_columns(x.columns, plan_.strip(rank), tile);
            outgoing_.insert(outgoing_.end(), x.data + range.first * x.rows, x.data + range.end * x.rows);
            counts.push_back(range.size() * x.rows);
        }
        mpi::all_to_all<double>(comm(), outgoing_, counts, incoming_);
        const std::int64_t width = tile_columns(x.columns, own, tile).size();
        const double* from = incoming_.values.data();
        for (int rank = 0; width > 0 && rank < comm().size(); ++rank) {
            const std::int64_t first = first_row(rank), rows = first_row(rank + 1) - first;
            spread(from, rows, width, x_.data() + tile * size() + first);
            from += rows * width;
        }
    }
}

/// The sum over the groups, and what the one-hot rows add.
dense::TallMatrix CrossOperator::scatter_strip(const dense::Columns& x) {
    const int own = plan_.strip(comm().rank());
    dense::TallMatrix sum(x.rows, x.columns);
    for (std::int64_t tile = 0; tile < tiles_of((x.columns + plan_.strips - 1) / plan_.strips); ++tile) {
        const std::int64_t width = tile_columns(x.columns, own, tile).size();
        outgoing_.resize(static_cast<std::size_t>(width * size()));
        std::vector<std::int64_t> counts;
        for (int rank = 0; rank < comm().size(); ++rank) {
            const std::int64_t first = first_row(rank), rows = first_row(rank + 1) - first;
            if (width > 0)
                collect(z_.data() + tile * size() + first, rows, width, outgoing_.data() + first * width);
            counts.push_back(rows * width);
        }
        mpi::all_to_all<double>(comm(), outgoing_, counts, incoming_);
        const double* from = incoming_.values.data();
        for (int rank = 0; rank < comm().size(); ++rank) {
            const Range range = tile_columns(x.columns, plan_.strip(rank), tile);
            for (std::int64_t j = range.first; j < range.end; ++j, from += x.rows) {
                double* const to = sum.column(j);
                const double* const column = x.data + j * x.rows;
                if (plan_.group(rank) == 0)
                    for (std::int64_t i = 0; i < x.rows; ++i)
                        to[i] = diagonal_[static_cast<std::size_t>(i)] * column[i];
                for (std::int64_t i = 0; i < x.rows; ++i) to[i] += from[i];
            }
        }
    }
    return sum;
}

/// z += G x of this group's rows, for panels of `columns`. A part of the panel stays in cache while rows
/// pass.
void CrossOperator::add_rows(std::int64_t columns) {
    if (plan_.kept == Kept::nothing)
        return for_each_block(
            [&](const matrix::ScaledRows& rows) { add_fused(std::span(&rows, 1), columns); });
    if (!read_) keep_rows();
    add_fused(rows_, columns);
    if (products_) add_ready(products_->view(), columns);
    if (file_) file_->for_each([&](const ProductsView& products) { add_ready(products, columns); });
}

void CrossOperator::add_fused(std::span<const matrix::ScaledRows> blocks, std::int64_t columns) {
    for_each_part(columns, [&](std::int64_t at, matrix::TileColumns part, ProductScratch&) {
        for (const matrix::ScaledRows& rows : blocks)
            matrix::add_fused_product(rows, x_.data() + at, z_.data() + at, part);
    });
}

void CrossOperator::add_ready(const ProductsView& products, std::int64_t columns) {
    for_each_part(columns, [&](std::int64_t at, matrix::TileColumns part, ProductScratch& scratch) {
        add_products(products, x_.data() + at, z_.data() + at, part, scratch);
    });
}

void CrossOperator::keep_rows() {
    if (plan_.kept == Kept::file)
        write_products();
    else
        for_each_block([&](matrix::ScaledRows& rows) { rows_.push_back(std::move(rows)); });
    if (plan_.kept == Kept::products) products_.emplace(std::exchange(rows_, {}), size(), resources_.threads);
    read_ = true;
}

namespace {

matrix::ScaledRows sorted(const matrix::ScaledRows& rows) {
    matrix::ScaledRows result;
    result.indptr.reserve(rows.indptr.size());
    result.indices.reserve(rows.indices.size()), result.values.reserve(rows.values.size());
    for (const std::int64_t row : matrix::cache_friendly_order(rows)) result.append(rows, row);
    return result;
}

}  // namespace

/// As many blocks at a time as can be made ready in the memory of a batch.
void CrossOperator::write_products() {
    file_.emplace(resources_.scratch);
    std::vector<matrix::ScaledRows> batch;
    Share share;
    const auto write = [&] {
        if (!batch.empty())
            file_->append(RowProducts(std::exchange(batch, {}), size(), resources_.threads).view());
        share = {};
    };
    for_each_block([&](matrix::ScaledRows& rows) {
        const Share more{share.rows + rows.rows(), share.nonzeros + rows.nonzeros()};
        if (products_bytes(reader_, more, resources_.threads) > plan_.batch_bytes) write();
        share.rows += rows.rows(), share.nonzeros += rows.nonzeros();
        batch.push_back(std::move(rows));
    });
    write();
}

/// While one block is worked on, the next is scaled (and sorted, when its rows are multiplied as they are),
/// and the one after it read and checked.
template <typename Work>
void CrossOperator::for_each_block(const Work& work) const {
    const bool as_they_are = plan_.kept == Kept::rows || plan_.kept == Kept::nothing;
    matrix::BlockStream stream(reader_, reader_.share(plan_.group(comm().rank()), plan_.groups));
    const auto next_rows = [&]() -> std::optional<matrix::ScaledRows> {
        const auto block = stream.next();
        if (!block) return std::nullopt;
        matrix::ScaledRows rows = matrix::scaled_rows(reader_, *block, weight_, split_.position);
        return as_they_are ? sorted(rows) : std::move(rows);
    };
    std::optional<matrix::ScaledRows> rows = next_rows();
    while (rows) {
        std::future<std::optional<matrix::ScaledRows>> ahead = std::async(std::launch::async, next_rows);
        work(*rows);
        rows = ahead.get();
    }
}

/// Calls `work` with the first row of a tile, columns of it, and a thread's scratch: whole tiles, or, where
/// there are more threads than tiles, parts of them.
template <typename Work>
void CrossOperator::for_each_part(std::int64_t columns, const Work& work) {
    const int strip = plan_.strip(comm().rank());
    const std::int64_t tiles = tiles_of_strip(columns, strip);
    std::int64_t width = matrix::tile_width;
    while (width > matrix::least_columns && tiles * (matrix::tile_width / width) < resources_.threads)
        width /= 2;
    const std::int64_t parts = matrix::tile_width / width;
#pragma omp parallel for num_threads(resources_.threads) schedule(dynamic)
    for (std::int64_t i = 0; i < tiles * parts; ++i) {
        const std::int64_t tile = i / parts, first = i % parts * width,
                           used = tile_columns(columns, strip, tile).size() - first;
        if (used <= 0) continue;
        const std::int64_t whole =
            (used + matrix::least_columns - 1) / matrix::least_columns * matrix::least_columns;
        work(tile * size(), matrix::TileColumns{first, std::min(width, whole)},
             scratch_[static_cast<std::size_t>(omp_get_thread_num())]);
    }
}

}  // namespace eckart::svd
