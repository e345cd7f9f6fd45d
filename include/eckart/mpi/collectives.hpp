#pragma once

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/base/exact_sum.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

/// Collectives over spans with 64-bit lengths: what is longer than `round_bytes()` goes in rounds, so no
/// count or displacement reaches 2^31. All are collective over the communicator.
namespace eckart::mpi {

/// Bytes a single MPI call may move (1 GiB). Lowered by tests to run the round paths on small data.
std::int64_t round_bytes();
void set_round_bytes(std::int64_t bytes);

template <typename T>
concept Trivial = std::is_trivially_copyable_v<T>;
template <typename T>
concept Number = std::is_same_v<T, double> || std::is_same_v<T, float> || std::is_same_v<T, std::int64_t> ||
    std::is_same_v<T, std::uint64_t> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::uint8_t>;

namespace detail {
void broadcast_bytes(const Communicator&, void* data, std::int64_t bytes, int root);
void gather_bytes(const Communicator&, const void* mine, std::int64_t bytes, void* all);
void all_to_all_bytes(const Communicator&, const std::byte* send, std::span<const std::int64_t> send_counts,
                      std::byte* receive, std::span<const std::int64_t> receive_counts);
template <Number T>
void reduce(const Communicator&, std::span<T> values, MPI_Op op);
}  // namespace detail

/// Every rank's `values` becomes the root's. Requires the same length everywhere.
template <Trivial T>
void broadcast(const Communicator& comm, std::span<T> values, int root = 0) {
    detail::broadcast_bytes(comm, values.data(), static_cast<std::int64_t>(values.size_bytes()), root);
}
template <Trivial T>
T broadcast(const Communicator& comm, T value, int root = 0) {
    broadcast(comm, std::span(&value, 1), root);
    return value;
}
std::string broadcast(const Communicator& comm, std::string text, int root = 0);
template <Trivial T>
std::vector<T> broadcast(const Communicator& comm, std::vector<T> values, int root = 0) {
    values.resize(static_cast<std::size_t>(broadcast(comm, static_cast<std::int64_t>(values.size()), root)));
    broadcast(comm, std::span<T>(values), root);
    return values;
}

/// Element-wise over the ranks, in place, on every rank.
template <Number T>
void all_sum(const Communicator& comm, std::span<T> values) {
    detail::reduce(comm, values, MPI_SUM);
}
template <Number T>
void all_max(const Communicator& comm, std::span<T> values) {
    detail::reduce(comm, values, MPI_MAX);
}
template <Number T>
void all_min(const Communicator& comm, std::span<T> values) {
    detail::reduce(comm, values, MPI_MIN);
}
template <Number T>
T all_sum(const Communicator& comm, T value) {
    detail::reduce(comm, std::span(&value, 1), MPI_SUM);
    return value;
}
template <Number T>
T all_max(const Communicator& comm, T value) {
    detail::reduce(comm, std::span(&value, 1), MPI_MAX);
    return value;
}
template <Number T>
T all_min(const Communicator& comm, T value) {
    detail::reduce(comm, std::span(&value, 1), MPI_MIN);
    return value;
}
Digest all_sum(const Communicator& comm, Digest value);
ExactSum all_sum(const Communicator& comm, ExactSum value);

/// One value of each rank, by rank, on every rank.
template <Trivial T>
std::vector<T> all_gather(const Communicator& comm, const T& value) {
    std::vector<T> all(static_cast<std::size_t>(comm.size()));
    detail::gather_bytes(comm, &value, sizeof(T), all.data());
    return all;
}
std::vector<std::string> all_gather(const Communicator& comm, const std::string& text);

/// What every rank sent to this one, ordered by sender; `received_counts` says how many elements from each.
template <Trivial T>
struct Received {
    std::vector<T> values;
    std::vector<std::int64_t> counts;
};
/// Sends `counts[r]` consecutive elements of `values` to rank r. What was in `received` goes, its memory is
/// used again. Throws `Error` when the counts do not add up.
template <Trivial T>
void all_to_all(const Communicator& comm, std::span<const T> values, std::span<const std::int64_t> counts,
                Received<T>& received) {
    const auto ranks = static_cast<std::size_t>(comm.size());
    require(counts.size() == ranks, "all_to_all needs one count a rank");
    std::vector<std::int64_t> matrix(ranks * ranks);
    detail::gather_bytes(comm, counts.data(), static_cast<std::int64_t>(ranks * sizeof(std::int64_t)),
                         matrix.data());
    received.counts.resize(ranks);
    std::vector<std::int64_t> send_bytes(ranks), receive_bytes(ranks);
    std::int64_t total = 0, sent = 0;
    for (std::size_t r = 0; r < ranks; ++r) {
        received.counts[r] = matrix[r * ranks + static_cast<std::size_t>(comm.rank())];
        send_bytes[r] = counts[r] * static_cast<std::int64_t>(sizeof(T));
        receive_bytes[r] = received.counts[r] * static_cast<std::int64_t>(sizeof(T));
        total += received.counts[r];
        sent += counts[r];
    }
    require(sent == static_cast<std::int64_t>(values.size()),
            "all_to_all: the counts add up to {}, not to the {} values", sent, values.size());
    received.values.resize(static_cast<std::size_t>(total));
    detail::all_to_all_bytes(comm, reinterpret_cast<const std::byte*>(values.data()), send_bytes,
                             reinterpret_cast<std::byte*>(received.values.data()), receive_bytes);
}
template <Trivial T>
Received<T> all_to_all(const Communicator& comm, std::span<const T> values,
                       std::span<const std::int64_t> counts) {
    Received<T> received;
    all_to_all(comm, values, counts, received);
    return received;
}
/// All ranks' elements, ordered by rank, on every rank.
template <Trivial T>
std::vector<T> all_gather_all(const Communicator& comm, std::span<const T> mine) {
    const auto ranks = static_cast<std::size_t>(comm.size());
    std::vector<T> copies;
    copies.reserve(mine.size() * ranks);
    for (std::size_t r = 0; r < ranks; ++r) copies.insert(copies.end(), mine.begin(), mine.end());
    const std::vector<std::int64_t> counts(ranks, static_cast<std::int64_t>(mine.size()));
    return all_to_all<T>(comm, copies, counts).values;
}

}  // namespace eckart::mpi
