// The pass over the blocks that forms G = W'W: pairs added a second and core, beside what the machine does
// when it adds as many numbers to G in no particular order and nothing else. Of a matrix that eckart-matrix
// made:
//
//   ECKART_BENCH_MATRIX=run/matrix mpirun -n 2 bench-cross-product
#include "eckart/svd/cross_product.hpp"

#include "eckart/base/error.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

using namespace eckart;

namespace {

/// Additions to the lower triangle: a row of k non-zeros gives k (k + 1) / 2. Collective.
std::int64_t pairs_of(const mpi::Communicator& world, const matrix::MatrixReader& reader) {
    std::int64_t pairs = 0;
    matrix::BlockStream stream(reader, reader.share(world.rank(), world.size()));
    while (const auto block = stream.next())
        for (std::int64_t row = 0; row < block->rows(); ++row) {
            const std::int64_t length = block->indptr[row + 1] - block->indptr[row];
            pairs += length * (length + 1) / 2;
        }
    return mpi::all_sum(world, pairs);
}

/// Additions a second of a rank into its columns of G: `pairs` spread over the columns evenly, within a
/// column most of them near its end, as those of text are. Leaves G as it is (adds zeros).
template <typename T>
double bare_rate(svd::CrossProduct<T>& gram, std::int64_t pairs) {
    auto& matrix = gram.large.front();
    constexpr std::size_t some = std::size_t{1} << 16;
    std::vector<double> from_end(some);
    std::uint32_t state = 1;
    for (double& x : from_end) {
        state = state * 1664525 + 1013904223;
        x = std::pow(static_cast<double>(state >> 8) / (1 << 24), 3);
    }
    const std::int64_t a_column = std::max<std::int64_t>(1, pairs / matrix.size());
    std::int64_t added = 0;
    std::size_t next = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t j = 0; j < matrix.size(); ++j) {
        if (!matrix.is_mine(matrix.block_of(j))) continue;
        T* const end = matrix.at(matrix.size() - 1, j);
        const auto length = static_cast<double>(matrix.size() - j);
        for (std::int64_t i = 0; i < a_column; ++i)
            *(end - static_cast<std::int64_t>(from_end[next++ % some] * length)) += static_cast<T>(i & 0);
        added += a_column;
    }
    return static_cast<double>(added) /
           std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <typename T>
void measure(const mpi::Communicator& world, const matrix::MatrixReader& reader, std::int64_t pairs,
             const char* name) {
    constexpr matrix::RowWeight uniform = matrix::RowWeight::uniform;
    constexpr int rounds = 3;
    for (int round = 0; round < rounds; ++round) {
        Progress progress = Progress::silent();
        svd::RowBlocks blocks(world, reader, std::numeric_limits<std::int64_t>::max());
        const svd::Components components = svd::find_components(blocks, uniform, progress);
        const std::clock_t before = std::clock();
        auto gram = svd::cross_product<T>(blocks, components, uniform, progress);
        const double processor = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
        const svd::CrossProductSums sums = svd::sums_of(world, gram);
        double isolated = 0;
        for (const double value : components.isolated_eigenvalues) isolated += value;
        const double total = reader.frobenius_squared(uniform);
        const auto seconds = [&](std::size_t step) {
            return mpi::all_max(world, progress.steps()[step].seconds);
        };
        const double read = seconds(0), room = seconds(1), form = seconds(2),
                     bare = mpi::all_sum(world, bare_rate(gram, pairs)) / world.size();
        if (world.is_root())
            fmt::print(
                "{} {} ranks: read {:.2f} s, room {:.2f} s, form {:.2f} s ({:.2f} s of processor): {:.1f} M "
                "pairs a "
                "second and rank, bare additions {:.1f} M; trace off by {:.1e}\n",
                name, world.size(), read, room, form, processor,
                static_cast<double>(pairs) / form / 1e6 / world.size(), bare / 1e6,
                std::abs(sums.trace + isolated - total) / total);
    }
}

}  // namespace

int main(int argc, char** argv) {
    return mpi::run_job(argc, argv, [](const mpi::Communicator& world) {
        const char* directory = std::getenv("ECKART_BENCH_MATRIX");
        if (directory == nullptr) {
            if (world.is_root()) fmt::print("ECKART_BENCH_MATRIX names no matrix: nothing measured\n");
            return 0;
        }
        const matrix::MatrixReader reader(directory);
        const std::int64_t pairs = pairs_of(world, reader);
        if (world.is_root())
            fmt::print("{} columns, {} pairs, {:.1f} a non-zero\n", reader.column_count(), pairs,
                       static_cast<double>(pairs) / static_cast<double>(reader.manifest().merged_nonzeros));
        measure<double>(world, reader, pairs, "double");
        measure<float>(world, reader, pairs, "single");
        return 0;
    });
}
