#pragma once

#include "eckart/svd/row_router.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::svd {

/// Adds rows to the lower triangle of G, many at a time and one column of G after the other: what the rows
/// that hold a column add to it lies in one stretch of memory, and the frequent columns, which are in most
/// rows, at its end. Every entry of G sums up its rows in their order.
template <typename T>
class ColumnUpdates {
public:
    /// `diagonals`: by place, the diagonal element of a column that is here, from which it goes on downwards;
    /// or null. `capacity`: entries gathered before they are added.
    ColumnUpdates(std::vector<T*> diagonals, std::int64_t capacity);

    /// Entries that can be gathered before it is time to flush.
    std::int64_t room() const { return capacity_ - static_cast<std::int64_t>(entries_.size()); }
    /// Gathers the entries of a row, from some place that may be here on.
    void add(std::span<const RowEntry<T>> row);
    /// Adds what was gathered.
    void flush();
    /// Bytes for `capacity` entries and `places` places.
    static std::int64_t bytes(std::int64_t capacity, std::int64_t places);

private:
    void list_entries();

    std::vector<T*> diagonals_;
    std::int64_t capacity_;
    std::vector<RowEntry<T>> entries_;
    std::vector<std::uint32_t> ends_;  // by place: where its part of the list ends
    std::vector<std::uint32_t> list_;  // entries here, by place, each the number of an entry
};

}  // namespace eckart::svd
