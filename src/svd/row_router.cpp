#include "eckart/svd/row_router.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace eckart::svd {

using matrix::CsrBlock;

template <typename T>
RowRouter<T>::RowRouter(const mpi::Communicator& comm, std::vector<std::int32_t> owners,
                        std::vector<std::int32_t> long_rows, std::int64_t capacity)
    : comm_(comm),
      capacity_(capacity),
      owners_(std::move(owners)),
      long_rows_(std::move(long_rows)),
      queues_(static_cast<std::size_t>(comm.size())),
      last_row_(queues_.size(), -1) {}

template <typename T>
void RowRouter<T>::add(std::span<const std::int32_t> columns, std::span<const std::uint64_t> counts,
                       double scale, std::span<const std::int32_t> place) {
    order_.clear();
    for (std::size_t i = 0; i < columns.size(); ++i)
        order_.push_back(static_cast<std::uint64_t>(place[static_cast<std::size_t>(columns[i])]) << 32 | i);
    std::sort(order_.begin(), order_.end());
    row_.clear();
    for (const std::uint64_t key : order_)
        row_.push_back(
            {static_cast<std::int32_t>(key >> 32),
             static_cast<T>(scale * static_cast<double>(counts[static_cast<std::uint32_t>(key)]))});
    const auto least = static_cast<std::size_t>(row_.front().place);
    row_.back().place = ~row_.back().place;
    ++rows_;
    if (static_cast<std::int64_t>(row_.size()) >= long_rows_[least]) {
        queue(long_queue_, 0);
        return;
    }
    for (std::size_t i = 0; i < row_.size(); ++i) {
        const auto owner = static_cast<std::size_t>(owners_[static_cast<std::size_t>(row_[i].column())]);
        if (last_row_[owner] != rows_) queue(queues_[owner], i);
        last_row_[owner] = rows_;
    }
}

template <typename T>
void RowRouter<T>::queue(std::vector<RowEntry<T>>& queue, std::size_t first) {
    queue.insert(queue.end(), row_.begin() + static_cast<std::ptrdiff_t>(first), row_.end());
    waiting_ += static_cast<std::int64_t>(row_.size() - first);
}

template <typename T>
void RowRouter<T>::exchange(const std::function<void(std::span<const RowEntry<T>>)>& take) {
    waiting_ = 0;
    exchange_tails();
    take(received_.values);
    const std::vector<std::size_t> long_counts = mpi::all_gather(comm_, long_queue_.size());
    for (int rank = 0; rank < comm_.size(); ++rank) {
        if (long_counts[static_cast<std::size_t>(rank)] == 0) continue;
        if (rank == comm_.rank()) std::swap(received_.values, long_queue_);
        received_.values.resize(long_counts[static_cast<std::size_t>(rank)]);
        mpi::broadcast(comm_, std::span(received_.values), rank);
        take(received_.values);
    }
    long_queue_.clear();
}

template <typename T>
void RowRouter<T>::exchange_tails() {
    if (comm_.size() == 1) {
        std::swap(received_.values, queues_.front());
        queues_.front().clear();
        return;
    }
    send_.clear();
    std::vector<std::int64_t> counts;
    for (auto& queue : queues_) {
        send_.insert(send_.end(), queue.begin(), queue.end());
        counts.push_back(static_cast<std::int64_t>(queue.size()));
        queue.clear();
    }
    mpi::all_to_all<RowEntry<T>>(comm_, send_, counts, received_);
}

template class RowRouter<double>;
template class RowRouter<float>;

namespace {

/// The rows of this rank's blocks, queued as long as there is room.
template <typename T>
class RowSource {
public:
    RowSource(RowBlocks& blocks, std::span<const std::int32_t> place, matrix::RowWeight weight)
        : blocks_(blocks), place_(place), weight_(weight) {}

    /// False at the end.
    bool queue_some(RowRouter<T>& router) {
        while (!router.is_full()) {
            if (row_ == block_.rows()) {
                std::optional<CsrBlock> next = blocks_.next();
                if (!next) return false;
                block_ = std::move(*next);
                row_ = 0;
                continue;
            }
            const auto counts = block_.row_data(row_);
            router.add(block_.row_indices(row_), counts, blocks_.reader().row_scale(block_, row_, weight_),
                       place_);
            done_ += static_cast<std::int64_t>(counts.size());
            ++row_;
        }
        return true;
    }
    /// Non-zeros.
    std::int64_t done() const { return done_; }

private:
    RowBlocks& blocks_;
    std::span<const std::int32_t> place_;
    matrix::RowWeight weight_;
    CsrBlock block_;
    std::int64_t row_ = 0, done_ = 0;
};

}  // namespace

std::int64_t row_router_bytes(std::int64_t nonzeros, std::int64_t places, std::int64_t element_bytes) {
    static_assert(sizeof(RowEntry<double>) == 2 * sizeof(double) &&
                  sizeof(RowEntry<float>) == 2 * sizeof(float));
    constexpr std::int64_t copies = 3, table_bytes = 8;
    return copies * std::min(nonzeros, routed_entries) * 2 * element_bytes + places * table_bytes;
}

template <typename T>
void route_rows(RowBlocks& blocks, RowRouter<T>& router, matrix::RowWeight weight,
                std::span<const std::int32_t> place, Progress& progress,
                const std::function<void(std::span<const RowEntry<T>>)>& take) {
    RowSource<T> source(blocks, place, weight);
    for (bool more = true; mpi::any(blocks.comm(), more);) {
        mpi::agree(blocks.comm(), [&] {
            mpi::stop_if_interrupted("the matrix is safe");
            more = source.queue_some(router);
        });
        router.exchange(take);
        progress.update(source.done());
    }
}
template void route_rows(RowBlocks&, RowRouter<double>&, matrix::RowWeight, std::span<const std::int32_t>,
                         Progress&, const std::function<void(std::span<const RowEntry<double>>)>&);
template void route_rows(RowBlocks&, RowRouter<float>&, matrix::RowWeight, std::span<const std::int32_t>,
                         Progress&, const std::function<void(std::span<const RowEntry<float>>)>&);

}  // namespace eckart::svd
