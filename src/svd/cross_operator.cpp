#include "eckart/svd/cross_operator.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <future>
#include <optional>

namespace eckart::svd {

namespace {

std::int64_t tiles_of(std::int64_t columns) {
    return (columns + matrix::tile_width - 1) / matrix::tile_width;
}

}  // namespace

std::int64_t nonzeros_of(const matrix::MatrixReader& reader) {
    std::int64_t sum = 0;
    for (const matrix::BlockEntry& block : reader.manifest().blocks) sum += block.nonzeros;
    return sum;
}

std::int64_t kept_bytes(const matrix::MatrixReader& reader, int groups) {
    std::int64_t rows = 0;
    for (const matrix::BlockEntry& block : reader.manifest().blocks) rows += block.rows;
    const std::int64_t all = 12 * nonzeros_of(reader) + 8 * rows;
    return all / groups + reader.largest_block_bytes();
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

PassPlan plan_pass(const matrix::MatrixReader& reader, int ranks, std::int64_t width, std::int64_t memory) {
    for (int strips = 1; strips <= ranks; ++strips) {
        if (ranks % strips != 0) continue;
        PassPlan plan{ranks / strips, strips, false};
        const std::int64_t needed = pass_bytes(reader, width, plan);
        if (needed > memory) continue;
        plan.keep_rows = needed + kept_bytes(reader, plan.groups) <= memory;
        return plan;
    }
    const std::int64_t least = pass_bytes(reader, width, {1, ranks, false});
    throw Error(
        "a pass over panels of {} columns needs {} a rank, {} are left: use more ranks, a larger "
        "--memory or a smaller --block",
        width, format_bytes(static_cast<double>(least)), format_bytes(static_cast<double>(memory)));
}

CrossOperator::CrossOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                             const CoupledColumns& split, matrix::RowWeight weight, PassPlan plan,
                             int threads)
    : SymmetricOperator(comm, static_cast<std::int64_t>(split.coupled.size())),
      reader_(reader),
      split_(split),
      weight_(weight),
      plan_(plan),
      threads_(threads) {
    const std::vector<double> all = reader.one_hot_diagonal(weight);
    for (std::int64_t i = first_row(); i < first_row() + local_rows(); ++i)
        diagonal_.push_back(all[static_cast<std::size_t>(split.coupled[static_cast<std::size_t>(i)])]);
}

dense::TallMatrix CrossOperator::apply(const dense::Columns& x) {
    Tiles strip = gather_strip(x);
    Tiles sum(strip.size());
    mpi::agree(comm(), [&] { add_rows(strip, sum); });
    strip = Tiles();
    dense::TallMatrix z = scatter_strip(sum, x.columns);
    for (std::int64_t j = 0; j < x.columns; ++j)
        for (std::int64_t i = 0; i < x.rows; ++i)
            z.column(j)[i] += diagonal_[static_cast<std::size_t>(i)] * x.data[j * x.rows + i];
    ++passes_;
    return z;
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

/// Tile after tile travels to the ranks whose strip it is in, so that what is under way stays small.
CrossOperator::Tiles CrossOperator::gather_strip(const dense::Columns& x) const {
    const int own = plan_.strip(comm().rank());
    Tiles tiles(static_cast<std::size_t>(tiles_of_strip(x.columns, own) * size()));
    std::vector<double> outgoing;
    mpi::Received<double> incoming;
    for (std::int64_t tile = 0; tile < tiles_of((x.columns + plan_.strips - 1) / plan_.strips); ++tile) {
        outgoing.clear();
        std::vector<std::int64_t> counts;
        for (int rank = 0; rank < comm().size(); ++rank) {
            const Range range = tile_columns(x.columns, plan_.strip(rank), tile);
            outgoing.insert(outgoing.end(), x.data + range.first * x.rows, x.data + range.end * x.rows);
            counts.push_back(range.size() * x.rows);
        }
        mpi::all_to_all<double>(comm(), outgoing, counts, incoming);
        const std::int64_t width = tile_columns(x.columns, own, tile).size();
        const double* from = incoming.values.data();
        for (int rank = 0; rank < comm().size(); ++rank)
            for (std::int64_t j = 0; j < width; ++j)
                for (std::int64_t i = first_row(rank); i < first_row(rank + 1); ++i)
                    tiles[static_cast<std::size_t>(tile * size() + i)].values[j] = *from++;
    }
    return tiles;
}

void CrossOperator::add_rows(const Tiles& x, Tiles& z) {
    if (!kept_.empty()) return multiply(kept_, x, z);
    // While one block is multiplied, the next is scaled and sorted, and the one after it read and checked.
    matrix::BlockStream stream(reader_, reader_.share(plan_.group(comm().rank()), plan_.groups));
    const auto next_rows = [&]() -> std::optional<matrix::ScaledRows> {
        const auto block = stream.next();
        if (!block) return std::nullopt;
        return matrix::scaled_rows(reader_, *block, weight_, split_.position);
    };
    std::optional<matrix::ScaledRows> rows = next_rows();
    while (rows) {
        std::future<std::optional<matrix::ScaledRows>> ahead = std::async(std::launch::async, next_rows);
        multiply(std::span(&*rows, 1), x, z);
        if (plan_.keep_rows) kept_.push_back(std::move(*rows));
        rows = ahead.get();
    }
}

/// A tile stays in cache while all rows pass.
void CrossOperator::multiply(std::span<const matrix::ScaledRows> blocks, const Tiles& x, Tiles& z) const {
    const auto tiles = size() == 0 ? 0 : static_cast<std::int64_t>(x.size()) / size();
#pragma omp parallel for num_threads(threads_) schedule(dynamic)
    for (std::int64_t tile = 0; tile < tiles; ++tile)
        for (const matrix::ScaledRows& rows : blocks)
            matrix::add_fused_product(rows, x.data() + tile * size(), z.data() + tile * size());
}

dense::TallMatrix CrossOperator::scatter_strip(const Tiles& z, std::int64_t columns) const {
    const int own = plan_.strip(comm().rank());
    dense::TallMatrix sum(local_rows(), columns);
    std::vector<double> outgoing;
    mpi::Received<double> incoming;
    for (std::int64_t tile = 0; tile < tiles_of((columns + plan_.strips - 1) / plan_.strips); ++tile) {
        outgoing.clear();
        std::vector<std::int64_t> counts;
        const std::int64_t width = tile_columns(columns, own, tile).size();
        for (int rank = 0; rank < comm().size(); ++rank) {
            for (std::int64_t j = 0; j < width; ++j)
                for (std::int64_t i = first_row(rank); i < first_row(rank + 1); ++i)
                    outgoing.push_back(z[static_cast<std::size_t>(tile * size() + i)].values[j]);
            counts.push_back((first_row(rank + 1) - first_row(rank)) * width);
        }
        mpi::all_to_all<double>(comm(), outgoing, counts, incoming);
        const double* from = incoming.values.data();
        for (int rank = 0; rank < comm().size(); ++rank) {
            const Range range = tile_columns(columns, plan_.strip(rank), tile);
            for (std::int64_t j = range.first; j < range.end; ++j)
                for (std::int64_t i = 0; i < local_rows(); ++i) sum.column(j)[i] += *from++;
        }
    }
    return sum;
}

}  // namespace eckart::svd
