#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/row_blocks.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace eckart::svd {

/// A non-zero of a row a_r = sqrt(m_r) p_r on its way into G = sum_r a_r a_r'. `place`: of its column in G;
/// of a row's last entry ~place, so that a row needs no header.
template <typename T>
struct RowEntry {
    std::int32_t place;
    T value;

    bool ends_row() const { return place < 0; }
    std::int32_t column() const { return place < 0 ? ~place : place; }
};

/// Takes the first row off `rows`, which are not empty.
template <typename T>
std::span<const RowEntry<T>> take_row(std::span<const RowEntry<T>>& rows) {
    std::size_t length = 1;
    while (!rows[length - 1].ends_row()) ++length;
    const std::span<const RowEntry<T>> row = rows.first(length);
    rows = rows.subspan(length);
    return row;
}

/// Entries that a rank queues before an exchange, and a row's more.
inline constexpr std::int64_t routed_entries = std::int64_t{1} << 18;

/// Sends rows to the ranks that own a column of theirs, each from the first such column on: with many ranks a
/// rank receives little more than the pairs it adds. A row of `long_row(place)` entries and more goes to all,
/// whole, the long rows of one rank after those of another: no rank holds more of them than one has.
template <typename T>
class RowRouter {
public:
    /// `owners`: of each place, ranks; `long_rows`: the length from which a row that begins at a place is
    /// long.
    RowRouter(const mpi::Communicator& comm, std::vector<std::int32_t> owners,
              std::vector<std::int32_t> long_rows, std::int64_t capacity = routed_entries);

    /// Puts a row into the queues. `places` of its columns, in any order, and what they hold, `scale` times
    /// `counts`.
    void add(std::span<const std::int32_t> columns, std::span<const std::uint64_t> counts, double scale,
             std::span<const std::int32_t> place);
    bool is_full() const { return waiting_ >= capacity_; }
    /// Gives to `take` what the ranks have queued for this one since the last time: rows in the order of the
    /// ranks, then the long ones of each rank that has any. Collective, and so may `take` be.
    void exchange(const std::function<void(std::span<const RowEntry<T>>)>& take);

private:
    void queue(std::vector<RowEntry<T>>& queue, std::size_t first);
    void exchange_tails();

    const mpi::Communicator& comm_;
    std::int64_t capacity_;  // of the queues together, in entries
    std::vector<std::int32_t> owners_, long_rows_;
    std::vector<std::vector<RowEntry<T>>> queues_;  // by rank
    std::vector<RowEntry<T>> long_queue_;           // for all ranks
    std::vector<std::uint64_t> order_;              // of the row at hand: its places, each with its number
    std::vector<RowEntry<T>> row_;                  // the same row, by place
    std::vector<RowEntry<T>> send_;
    mpi::Received<RowEntry<T>> received_;
    std::vector<std::int64_t> last_row_;  // of each queue: the last row put there
    std::int64_t rows_ = 0, waiting_ = 0;
};

/// Bytes of a router of so many places for a matrix of `nonzeros` entries: queued, sent, received.
std::int64_t row_router_bytes(std::int64_t nonzeros, std::int64_t places, std::int64_t element_bytes);

/// Sends the rows of all blocks through the router and gives what has come for this rank to `take`, part by
/// part, whole rows. `place`: of each column. Collective. Throws `Interrupted` soon after a stop was
/// requested.
template <typename T>
void route_rows(RowBlocks& blocks, RowRouter<T>& router, matrix::RowWeight weight,
                std::span<const std::int32_t> place, Progress& progress,
                const std::function<void(std::span<const RowEntry<T>>)>& take);

}  // namespace eckart::svd
