#include "eckart/svd/column_updates.hpp"

#include <algorithm>
#include <utility>

namespace eckart::svd {

template <typename T>
ColumnUpdates<T>::ColumnUpdates(std::vector<T*> diagonals, std::int64_t capacity)
    : diagonals_(std::move(diagonals)), capacity_(capacity), ends_(diagonals_.size() + 1) {
    entries_.reserve(static_cast<std::size_t>(capacity));
}

template <typename T>
void ColumnUpdates<T>::add(std::span<const RowEntry<T>> row) {
    entries_.insert(entries_.end(), row.begin(), row.end());
}

/// A counting sort.
template <typename T>
void ColumnUpdates<T>::list_entries() {
    std::fill(ends_.begin(), ends_.end(), 0);
    for (const RowEntry<T>& entry : entries_) ++ends_[static_cast<std::size_t>(entry.column()) + 1];
    for (std::size_t place = 0; place < diagonals_.size(); ++place)
        ends_[place + 1] = ends_[place] + (diagonals_[place] != nullptr ? ends_[place + 1] : 0);
    list_.resize(ends_.back());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const auto place = static_cast<std::size_t>(entries_[i].column());
        if (diagonals_[place] != nullptr) list_[ends_[place]++] = static_cast<std::uint32_t>(i);
    }
}

template <typename T>
void ColumnUpdates<T>::flush() {
    list_entries();
    constexpr std::size_t ahead = 12;
    std::size_t next = 0;
    for (std::size_t place = 0; place < diagonals_.size(); ++place) {
        T* const diagonal = diagonals_[place];
        if (diagonal == nullptr) continue;
        const auto first = static_cast<std::int32_t>(place);
        for (; next < ends_[place]; ++next) {
            __builtin_prefetch(&entries_[list_[std::min(next + ahead, list_.size() - 1)]]);
            const RowEntry<T>* entry = &entries_[list_[next]];
            const T scale = entry->value;
            for (; !entry->ends_row(); ++entry) diagonal[entry->place - first] += scale * entry->value;
            diagonal[entry->column() - first] += scale * entry->value;
        }
    }
    entries_.clear();
}

template <typename T>
std::int64_t ColumnUpdates<T>::bytes(std::int64_t capacity, std::int64_t places) {
    return capacity * static_cast<std::int64_t>(sizeof(RowEntry<T>) + sizeof(std::uint32_t)) +
           places * static_cast<std::int64_t>(sizeof(T*) + 2 * sizeof(std::uint32_t));
}

template class ColumnUpdates<double>;
template class ColumnUpdates<float>;

}  // namespace eckart::svd
