#include "eckart/mpi/mailbox.hpp"

#include "eckart/base/error.hpp"

namespace eckart::mpi {

void Mailbox::send(int target, std::span<const std::byte> bytes, std::int64_t number) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Isend(bytes.data(), narrow<int>(bytes.size()), MPI_BYTE, target, 0, comm_.handle(), &request),
          "MPI_Isend");
    requests_.push_back(request);
    numbers_.push_back(number);
}

std::vector<std::int64_t> Mailbox::sent() {
    std::vector<std::int64_t> done;
    if (requests_.empty()) return done;
    std::vector<int> which(requests_.size());
    int count = 0;
    check(MPI_Testsome(narrow<int>(requests_.size()), requests_.data(), &count, which.data(),
                       MPI_STATUSES_IGNORE),
          "MPI_Testsome");
    if (count <= 0) return done;
    for (int i = 0; i < count; ++i)
        done.push_back(numbers_[static_cast<std::size_t>(which[static_cast<std::size_t>(i)])]);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
        if (requests_[i] == MPI_REQUEST_NULL) continue;
        requests_[kept] = requests_[i];
        numbers_[kept++] = numbers_[i];
    }
    requests_.resize(kept);
    numbers_.resize(kept);
    return done;
}

std::optional<Mailbox::Message> Mailbox::receive(std::span<std::byte> buffer) {
    int there = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    check(MPI_Improbe(MPI_ANY_SOURCE, 0, comm_.handle(), &there, &message, &status), "MPI_Improbe");
    if (there == 0) return std::nullopt;
    int bytes = 0;
    check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
    require(static_cast<std::size_t>(bytes) <= buffer.size(), "a message of {} bytes came for a buffer of {}",
            bytes, buffer.size());
    check(MPI_Mrecv(buffer.data(), bytes, MPI_BYTE, &message, &status), "MPI_Mrecv");
    return Message{.source = status.MPI_SOURCE, .bytes = bytes};
}

}  // namespace eckart::mpi
