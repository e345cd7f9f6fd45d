#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace eckart::mpi {

/// Messages between ranks that travel while the ranks compute: sending starts at once and is finished later,
/// receiving takes what has come. Messages from one rank arrive in the order of sending. Not collective but
/// for the constructor. Requires each message to be shorter than 2 GiB.
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
    /// The next message that has come, copied to `buffer`, or nothing. Throws `Error` when it does not fit.
    std::optional<Message> receive(std::span<std::byte> buffer);

private:
    Communicator comm_;
    std::vector<MPI_Request> requests_;
    std::vector<std::int64_t> numbers_;
};

}  // namespace eckart::mpi
