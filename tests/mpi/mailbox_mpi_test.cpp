#include "eckart/mpi/mailbox.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace eckart::mpi {
namespace {

/// Longer and shorter than what travels without being waited for, and empty ones.
std::size_t length_of(int number) {
    return static_cast<std::size_t>(number % 5) * 30000;
}

TEST(Mailbox, ManyMessagesAreOnTheirWayAndArriveInTheOrderOfSending) {
    const Communicator comm = Communicator::world();
    constexpr int messages = 100;
    constexpr std::size_t most_arriving = 8;
    Mailbox mailbox(comm);
    std::vector<std::vector<std::byte>> sending(messages);
    for (int number = 0; number < messages; ++number) {
        sending[static_cast<std::size_t>(number)].assign(length_of(number), std::byte(number));
        for (int other = 0; other < comm.size(); ++other)
            if (other != comm.rank()) mailbox.send(other, sending[static_cast<std::size_t>(number)], number);
    }
    std::vector<std::vector<std::byte>> buffers(most_arriving, std::vector<std::byte>(120000));
    std::map<int, int> next;  // number of the next message, by sender
    std::size_t accepted = 0, received = 0;
    const auto expected = static_cast<std::size_t>(messages * (comm.size() - 1));
    std::int64_t left = 0;
    while (received < expected || mailbox.in_flight() > 0) {
        left += std::ssize(mailbox.sent());
        while (accepted - received < most_arriving && mailbox.accept(buffers[accepted % most_arriving]))
            ++accepted;
        ASSERT_EQ(mailbox.arriving(), static_cast<std::int64_t>(accepted - received));
        const auto message = mailbox.received();
        if (!message) continue;
        const int number = next[message->source]++;
        const auto begin = buffers[received++ % most_arriving].begin();
        ASSERT_EQ(message->bytes, static_cast<std::int64_t>(length_of(number)));
        ASSERT_EQ(std::count(begin, begin + message->bytes, std::byte(number)), message->bytes);
    }
    EXPECT_EQ(left, static_cast<std::int64_t>(expected));
    comm.barrier();
}

}  // namespace
}  // namespace eckart::mpi
