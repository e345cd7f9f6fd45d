#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace eckart::mpi {
namespace {

/// Runs a test once as it is and once with rounds of 16 bytes, so that every call goes in many rounds.
class Rounds : public testing::TestWithParam<std::int64_t> {
protected:
    void SetUp() override { set_round_bytes(GetParam()); }
    void TearDown() override { set_round_bytes(std::int64_t{1} << 30); }
    Communicator world = Communicator::world();
};
INSTANTIATE_TEST_SUITE_P(Limits, Rounds, testing::Values(std::int64_t{1} << 30, 16));

TEST_P(Rounds, BroadcastMovesEveryElement) {
    for (int root = 0; root < world.size(); ++root) {
        std::vector<std::int64_t> values;
        if (world.rank() == root) values = {root, 2, 3, 4, 5, 6, 7};
        values = broadcast(world, values, root);
        EXPECT_EQ(values, (std::vector<std::int64_t>{root, 2, 3, 4, 5, 6, 7}));
        EXPECT_EQ(broadcast(world, world.rank() == root ? std::string("text of some length") : "", root),
                  "text of some length");
    }
}

TEST_P(Rounds, SumsAndExtremes) {
    std::vector<double> values(9, world.rank() + 1.0);
    all_sum(world, std::span(values));
    EXPECT_EQ(values, std::vector<double>(9, world.size() * (world.size() + 1) / 2.0));
    EXPECT_EQ(all_max(world, std::int64_t{world.rank()}), world.size() - 1);
    EXPECT_EQ(all_min(world, std::int64_t{world.rank()}), 0);
    EXPECT_EQ(all_sum(world, Digest{0, ~std::uint64_t{0}}),
              (Digest{std::uint64_t(world.size()) - 1, -std::uint64_t(world.size())}));
}

TEST_P(Rounds, AllToAllKeepsOrderAndCounts) {
    // Rank r sends r + s values to rank s (none from 0 to 0), each telling where it comes from and goes to.
    std::vector<std::int64_t> counts, values;
    for (int s = 0; s < world.size(); ++s) {
        counts.push_back(world.rank() + s);
        for (int i = 0; i < world.rank() + s; ++i) values.push_back(world.rank() * 10000 + s * 100 + i);
    }
    const Received<std::int64_t> received = all_to_all<std::int64_t>(world, values, counts);
    std::vector<std::int64_t> expected;
    for (int r = 0; r < world.size(); ++r)
        for (int i = 0; i < r + world.rank(); ++i) expected.push_back(r * 10000 + world.rank() * 100 + i);
    EXPECT_EQ(received.values, expected);
    EXPECT_EQ(received.counts[0], world.rank());
    EXPECT_THROW(all_to_all<std::int64_t>(world, std::vector<std::int64_t>(1),
                                          std::vector<std::int64_t>(world.size(), 7)),
                 Error);
}

TEST_P(Rounds, GatherTexts) {
    const auto texts = all_gather(world, std::string(static_cast<std::size_t>(world.rank()), 'x'));
    ASSERT_EQ(texts.size(), static_cast<std::size_t>(world.size()));
    for (int r = 0; r < world.size(); ++r) EXPECT_EQ(texts[r], std::string(static_cast<std::size_t>(r), 'x'));
}

TEST(Agree, OneRanksErrorBecomesEveryones) {
    const Communicator world = Communicator::world();
    EXPECT_NO_THROW(agree(world, [] {}));
    try {
        agree(world,
              [&] { require(world.rank() != world.size() - 1, "rank {} found a fault", world.rank()); });
        FAIL() << "no rank may go on";
    } catch (const Error& error) {
        EXPECT_EQ(error.what(), fmt::format("rank {} found a fault", world.size() - 1));
    }
    EXPECT_THROW(agree(world,
                       [&] {
                           if (world.is_root()) throw UsageError("no such option");
                       }),
                 UsageError);
}

TEST(Communicator, SplitsAndDuplicates) {
    const Communicator world = Communicator::world();
    const Communicator half = world.split(world.rank() % 2, world.rank());
    EXPECT_EQ(half.rank(), world.rank() / 2);
    EXPECT_EQ(half.size(), (world.size() + 1 - world.rank() % 2) / 2);
    EXPECT_EQ(world.duplicate().size(), world.size());
}

}  // namespace
}  // namespace eckart::mpi
