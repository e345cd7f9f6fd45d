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

bool Mailbox::accept(std::span<std::byte> buffer) {
    int there = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    check(MPI_Improbe(MPI_ANY_SOURCE, 0, comm_.handle(), &there, &message, &status), "MPI_Improbe");
    if (there == 0) return false;
    int bytes = 0;
    check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
    require(static_cast<std::size_t>(bytes) <= buffer.size(), "a message of {} bytes came for a buffer of {}",
            bytes, buffer.size());
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Imrecv(buffer.data(), bytes, MPI_BYTE, &message, &request), "MPI_Imrecv");
    arriving_.push_back({request, {.source = status.MPI_SOURCE, .bytes = bytes}});
    return true;
}

std::optional<Mailbox::Message> Mailbox::received() {
    if (arriving_.empty()) return std::nullopt;
    int whole = 0;
    check(MPI_Test(&arriving_.front().request, &whole, MPI_STATUS_IGNORE), "MPI_Test");
    if (whole == 0) return std::nullopt;
    const Message message = arriving_.front().message;
    arriving_.pop_front();
    return message;
}

}  // namespace eckart::mpi
