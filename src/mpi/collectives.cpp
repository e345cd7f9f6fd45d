#include "eckart/mpi/collectives.hpp"

#include <algorithm>

namespace eckart::mpi {

namespace {

std::int64_t round_limit = std::int64_t{1} << 30;

template <Number T>
MPI_Datatype type_of() {
    if constexpr (std::is_same_v<T, double>) return MPI_DOUBLE;
    if constexpr (std::is_same_v<T, float>) return MPI_FLOAT;
    if constexpr (std::is_same_v<T, std::int64_t>) return MPI_INT64_T;
    if constexpr (std::is_same_v<T, std::uint64_t>) return MPI_UINT64_T;
    if constexpr (std::is_same_v<T, std::int32_t>) return MPI_INT32_T;
    if constexpr (std::is_same_v<T, std::uint8_t>) return MPI_UINT8_T;
}

}  // namespace

std::int64_t round_bytes() {
    return round_limit;
}
void set_round_bytes(std::int64_t bytes) {
    round_limit = std::max<std::int64_t>(bytes, 16);
}

namespace detail {

void broadcast_bytes(const Communicator& comm, void* data, std::int64_t bytes, int root) {
    auto* at = static_cast<std::byte*>(data);
    for (std::int64_t done = 0; done < bytes; done += round_bytes()) {
        const int count = narrow<int>(std::min(round_bytes(), bytes - done));
        check(MPI_Bcast(at + done, count, MPI_BYTE, root, comm.handle()), "MPI_Bcast");
    }
}

void gather_bytes(const Communicator& comm, const void* mine, std::int64_t bytes, void* all) {
    const int count = narrow<int>(bytes);
    check(MPI_Allgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, comm.handle()), "MPI_Allgather");
}

template <Number T>
void reduce(const Communicator& comm, std::span<T> values, MPI_Op op) {
    const auto step = static_cast<std::size_t>(round_bytes()) / sizeof(T);
    for (std::size_t done = 0; done < values.size(); done += step) {
        const std::span<T> part = values.subspan(done, std::min(step, values.size() - done));
        check(MPI_Allreduce(MPI_IN_PLACE, part.data(), narrow<int>(part.size()), type_of<T>(), op,
                            comm.handle()),
              "MPI_Allreduce");
    }
}
template void reduce(const Communicator&, std::span<double>, MPI_Op);
template void reduce(const Communicator&, std::span<float>, MPI_Op);
template void reduce(const Communicator&, std::span<std::int64_t>, MPI_Op);
template void reduce(const Communicator&, std::span<std::uint64_t>, MPI_Op);
template void reduce(const Communicator&, std::span<std::int32_t>, MPI_Op);
template void reduce(const Communicator&, std::span<std::uint8_t>, MPI_Op);

/// Pairs of ranks exchange in `size` steps; each pair's bytes go in rounds. Rank r sends to r + s in step s.
void all_to_all_bytes(const Communicator& comm, const std::byte* send,
                      std::span<const std::int64_t> send_counts, std::byte* receive,
                      std::span<const std::int64_t> receive_counts) {
    const int size = comm.size(), rank = comm.rank();
    std::vector<std::int64_t> from(send_counts.size()), to(receive_counts.size());
    for (std::size_t r = 1; r < from.size(); ++r)
        from[r] = from[r - 1] + send_counts[r - 1], to[r] = to[r - 1] + receive_counts[r - 1];
    for (int step = 0; step < size; ++step) {
        const auto target = static_cast<std::size_t>((rank + step) % size),
                   source = static_cast<std::size_t>((rank - step + size) % size);
        const std::int64_t out = send_counts[target], in = receive_counts[source];
        if (step == 0) {
            std::copy_n(send + from[target], out, receive + to[source]);
            continue;
        }
        for (std::int64_t done = 0; done < std::max(out, in); done += round_bytes()) {
            const int out_now = narrow<int>(std::clamp<std::int64_t>(out - done, 0, round_bytes()));
            const int in_now = narrow<int>(std::clamp<std::int64_t>(in - done, 0, round_bytes()));
            MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
            if (in_now > 0)
                check(MPI_Irecv(receive + to[source] + done, in_now, MPI_BYTE, static_cast<int>(source), 0,
                                comm.handle(), &requests[0]),
                      "MPI_Irecv");
            if (out_now > 0)
                check(MPI_Isend(send + from[target] + done, out_now, MPI_BYTE, static_cast<int>(target), 0,
                                comm.handle(), &requests[1]),
                      "MPI_Isend");
            check(MPI_Waitall(2, requests, MPI_STATUSES_IGNORE), "MPI_Waitall");
        }
    }
}

}  // namespace detail

std::string broadcast(const Communicator& comm, std::string text, int root) {
    std::vector<char> letters(text.begin(), text.end());
    letters = broadcast(comm, std::move(letters), root);
    return {letters.begin(), letters.end()};
}

Digest all_sum(const Communicator& comm, Digest value) {
    Digest sum;
    for (const Digest& each : all_gather(comm, value)) sum += each;
    return sum;
}

ExactSum all_sum(const Communicator& comm, ExactSum value) {
    ExactSum sum;
    for (const ExactSum& each : all_gather(comm, value)) sum += each;
    return sum;
}

std::vector<std::string> all_gather(const Communicator& comm, const std::string& text) {
    const auto lengths = all_gather(comm, static_cast<std::int64_t>(text.size()));
    const auto letters = all_gather_all<char>(comm, text);
    std::vector<std::string> texts;
    std::size_t at = 0;
    for (const std::int64_t length : lengths) {
        texts.emplace_back(letters.data() + at, static_cast<std::size_t>(length));
        at += static_cast<std::size_t>(length);
    }
    return texts;
}

}  // namespace eckart::mpi
