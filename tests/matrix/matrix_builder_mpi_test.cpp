#include "eckart/matrix/matrix_builder.hpp"
#include "eckart/mpi/collectives.hpp"

#include <filesystem>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

namespace eckart::matrix {
namespace {

namespace fs = std::filesystem;

/// The matrix of some thousand rows, many equal, dealt out over the ranks; what crosses ranks goes in rounds
/// of so many bytes.
Manifest build(const mpi::Communicator& comm, const fs::path& folder, std::int64_t round_bytes) {
    constexpr std::int64_t vocabulary = 40;
    const std::int64_t before = mpi::round_bytes();
    mpi::set_round_bytes(round_bytes);
    ngrams::RowBuckets buckets(8, 1 << 20, folder / fmt::format("rows-{}", comm.rank()));
    ngrams::RowCollector rows(vocabulary, buckets);
    std::mt19937_64 random(1);
    for (int row = 0; row < 6000; ++row) {
        const auto first = static_cast<std::uint32_t>(random() % (vocabulary - 1));
        const std::uint32_t successors[] = {first, vocabulary - 1};
        const std::uint64_t counts[] = {1 + random() % 9, 1 + random() % 9};
        if (row % comm.size() == comm.rank()) rows.row(successors, counts);
    }
    Progress progress = Progress::silent();
    const Manifest made = build_matrix(comm, {.directory = folder}, {}, rows, buckets, progress);
    mpi::set_round_bytes(before);
    return made;
}

TEST(MatrixBuilder, RoundsOfAnyLengthMakeTheSameMatrix) {
    const mpi::Communicator comm = mpi::Communicator::world();
    const fs::path folder =
        fs::temp_directory_path() /
        fmt::format("eckart-builder-{}", mpi::broadcast(comm, static_cast<std::int64_t>(::getpid())));
    if (comm.is_root()) fs::create_directories(folder);
    comm.barrier();
    const Manifest whole = build(comm, folder, std::int64_t{1} << 30), parts = build(comm, folder, 100);
    EXPECT_EQ(whole.contexts, 6000);
    EXPECT_LT(whole.merged_rows, 6000);
    EXPECT_EQ(parts.digest, whole.digest);
    EXPECT_EQ(parts.blocks.size(), whole.blocks.size());
    comm.barrier();
    if (comm.is_root()) fs::remove_all(folder);
}

}  // namespace
}  // namespace eckart::matrix
