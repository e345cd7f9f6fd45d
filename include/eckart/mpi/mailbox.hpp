#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace eckart::mpi {

/// Messages between ranks that travel while the ranks compute: sending and receiving start at once and are
/// finished later. A long message needs both ranks to look after it several times on its way, so many should
/// be on their way at a time. Messages from one rank arrive in the order of sending. Not collective but for
/// the constructor. Requires each message to be shorter than 2 GiB.
class Mailbox {
public:
    struct Message {
        int source;
        std::int64_t bytes;
    };

    explicit Mailbox(const Communicator& comm) : comm_(comm.duplicate()) {}

    /// Starts sending. `bytes` must stay as they are until `sent` returns `number`.
    void send(int target, std::span<const std::byte> bytes, std::int64_t number);
    /// The numbers of messages that have left since the last call; their memory is free again.
    std::vector<std::int64_t> sent();
    std::int64_t in_flight() const { return static_cast<std::int64_t>(requests_.size()); }
    /// Starts to receive the next message that is announced into `buffer`, which is the mailbox's until
    /// `received` returns that message; false when there is none. Throws `Error` when it does not fit.
    bool accept(std::span<std::byte> buffer);
    /// Messages accepted and not returned by `received` yet.
    std::int64_t arriving() const { return static_cast<std::int64_t>(arriving_.size()); }
    /// The message accepted first of those arriving, or nothing while it is not whole.
    std::optional<Message> received();

private:
    struct Arrival {
        MPI_Request request;
        Message message;
    };
    Communicator comm_;
    std::deque<Arrival> arriving_;
    std::vector<MPI_Request> requests_;
    std::vector<std::int64_t> numbers_;
};

}  // namespace eckart::mpi
