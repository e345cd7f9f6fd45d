#include "eckart/base/random.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/column_updates.hpp"
#include "eckart/svd/row_router.hpp"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace eckart::svd {
namespace {

constexpr std::int64_t columns = 60;

struct Row {
    std::vector<std::int32_t> columns;
    std::vector<std::uint64_t> counts;
};

/// Row `number` of a matrix that every rank can make: ascending columns, one to all of them.
Row row_of(std::uint64_t number) {
    const CounterRandom random(11);
    Row row;
    const std::uint64_t keep = 1 + random.bits(number, 0) % 16;
    for (std::int32_t c = 0; c < columns; ++c)
        if (random.bits(number, static_cast<std::uint64_t>(c) + 1) % 16 < keep || c == 7) {
            row.columns.push_back(c);
            row.counts.push_back(1 + random.bits(number, static_cast<std::uint64_t>(c) + 100) % 50);
        }
    return row;
}

/// Columns in another order than their numbers.
std::vector<std::int32_t> places() {
    std::vector<std::int32_t> place;
    for (std::int64_t c = 0; c < columns; ++c) place.push_back(static_cast<std::int32_t>(c * 37 % columns));
    return place;
}

/// Sends every rank's share of `rows` rows and adds what comes to the columns that are this rank's.
dense::SmallMatrix lower_triangle(const mpi::Communicator& comm, std::uint64_t rows, std::int32_t long_row,
                                  std::int64_t queue, std::int64_t batch) {
    const auto size = static_cast<std::size_t>(columns);
    dense::SmallMatrix gram(columns, columns);
    std::vector<std::int32_t> owners;
    std::vector<double*> diagonals;
    for (std::int64_t p = 0; p < columns; ++p) {
        owners.push_back(static_cast<std::int32_t>(p / 4 % comm.size()));
        diagonals.push_back(owners.back() == comm.rank() ? &gram.at(p, p) : nullptr);
    }
    RowRouter<double> router(comm, owners, std::vector<std::int32_t>(size, long_row), queue);
    ColumnUpdates<double> updates(diagonals, batch);
    auto next = static_cast<std::uint64_t>(comm.rank());
    while (mpi::any(comm, next < rows)) {
        for (; next < rows && !router.is_full(); next += static_cast<std::uint64_t>(comm.size())) {
            const Row row = row_of(next);
            router.add(row.columns, row.counts, 0.5, places());
        }
        router.exchange([&](std::span<const RowEntry<double>> received) {
            while (!received.empty()) {
                const auto row = take_row(received);
                if (updates.room() < static_cast<std::int64_t>(row.size())) updates.flush();
                updates.add(row);
            }
        });
    }
    updates.flush();
    mpi::all_sum(comm, gram.values());
    return gram;
}

void expect_gram(const dense::SmallMatrix& gram, std::uint64_t rows) {
    dense::SmallMatrix wanted(columns, columns);
    const std::vector<std::int32_t> place = places();
    for (std::uint64_t number = 0; number < rows; ++number) {
        const Row row = row_of(number);
        for (std::size_t a = 0; a < row.columns.size(); ++a)
            for (std::size_t b = 0; b < row.columns.size(); ++b)
                wanted.at(place[static_cast<std::size_t>(row.columns[a])],
                          place[static_cast<std::size_t>(row.columns[b])]) +=
                    0.25 * static_cast<double>(row.counts[a] * row.counts[b]);
    }
    for (std::int64_t j = 0; j < columns; ++j)
        for (std::int64_t i = 0; i < columns; ++i)  // whole numbers of quarters: exact in any order
            ASSERT_EQ(gram.at(i, j), i < j ? 0 : wanted.at(i, j)) << i << ", " << j;
}

TEST(RowRouterTest, EveryPairIsAddedOnceWhereItsColumnIs) {
    const auto world = mpi::Communicator::world();
    constexpr std::int32_t none = 1 << 20, all = 0, some = 20;
    for (const std::int32_t long_row : {none, all, some})
        for (const std::int64_t queue : {std::int64_t{1}, std::int64_t{100}, routed_entries})
            for (const std::int64_t batch : {60, 500, 100000})
                expect_gram(lower_triangle(world, 300, long_row, queue, batch), 300);
    expect_gram(lower_triangle(world, 0, none, 100, 100), 0);
    expect_gram(lower_triangle(world, 1, none, 100, 100), 1);  // some ranks send nothing
}

TEST(RowRouterTest, ARankReceivesTheTailsOfItsColumnsAlone) {
    const auto world = mpi::Communicator::world();
    std::vector<std::int32_t> owners(static_cast<std::size_t>(columns)), identity(owners.size());
    std::iota(identity.begin(), identity.end(), 0);
    for (std::size_t p = 0; p < owners.size(); ++p)
        owners[p] = static_cast<std::int32_t>(p % static_cast<std::size_t>(world.size()));
    RowRouter<float> router(world, owners, std::vector<std::int32_t>(owners.size(), 1 << 20));
    if (world.is_root())
        router.add(std::vector<std::int32_t>{0, 1, 2}, std::vector<std::uint64_t>{5, 6, 7}, 1, identity);
    std::vector<RowEntry<float>> received;
    router.exchange(
        [&](std::span<const RowEntry<float>> some) { received.assign(some.begin(), some.end()); });
    ASSERT_EQ(received.size(), world.rank() > 2 ? 0 : 3 - static_cast<std::size_t>(world.rank()));
    for (std::size_t i = 0; i < received.size(); ++i) {
        const std::size_t column = static_cast<std::size_t>(world.rank()) + i;
        EXPECT_EQ(received[i].column(), static_cast<std::int32_t>(column));
        EXPECT_EQ(received[i].value, static_cast<float>(5 + column));
        EXPECT_EQ(received[i].ends_row(), column == 2);
    }
}

}  // namespace
}  // namespace eckart::svd
