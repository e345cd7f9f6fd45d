#include "eckart/io/artefact.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/gram_checkpoint.hpp"
#include "eckart/svd/gram_spectrum.hpp"
#include "svd/planted.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace eckart::svd {
namespace {

/// A directory that all ranks share.
class SharedDirectory {
public:
    explicit SharedDirectory(const mpi::Communicator& comm) : comm_(comm) {
        if (comm.is_root()) scratch_ = std::make_unique<ScratchDirectory>();
        path_ = mpi::broadcast(comm, scratch_ ? scratch_->path().string() : std::string());
    }
    ~SharedDirectory() { comm_.barrier(); }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    const mpi::Communicator& comm_;
    std::unique_ptr<ScratchDirectory> scratch_;
    std::filesystem::path path_;
};

GramOptions gram_options() {
    GramOptions options;
    options.memory = std::int64_t{1} << 30;
    return options;
}

Spectrum spectrum_of(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                     const GramOptions& options) {
    Progress silent = Progress::silent();
    return gram_spectrum(comm, reader, options, silent);
}

void expect_values(const Spectrum& spectrum, const std::vector<double>& truth, double relative) {
    ASSERT_EQ(spectrum.lambda.size(), truth.size());
    for (std::size_t i = 0; i < truth.size(); ++i) {
        ASSERT_NEAR(spectrum.lambda[i], truth[i], relative * truth.front()) << "value " << i + 1;
        EXPECT_LE(spectrum.lambda_lower[i], truth[i] + 1e-13 * truth.front()) << i;
        EXPECT_GE(spectrum.lambda_upper[i], truth[i] - 1e-13 * truth.front()) << i;
    }
    EXPECT_TRUE(spectrum.complete);
}

using Plant = std::function<void(Planted&)>;

/// Values in double and in single precision, against LAPACK on the dense G or against what is known.
void expect_planted(std::int64_t columns, const Plant& plant, std::vector<double> truth = {}) {
    const auto world = mpi::Communicator::world();
    Planted planted(world, columns);
    plant(planted);
    const matrix::MatrixReader reader = planted.open();
    if (truth.empty()) truth = dense::symmetric_eigenvalues(planted.gram);
    std::sort(truth.rbegin(), truth.rend());
    GramOptions options = gram_options();
    expect_values(spectrum_of(world, reader, options), truth, 1e-13);
    for (const auto solver :
         {dense::Eigensolver::two_stage, dense::Eigensolver::lapack, dense::Eigensolver::scalapack}) {
        options.eigensolver = solver;
        expect_values(spectrum_of(world, reader, options), truth, 1e-13);
    }
    options.eigensolver = dense::Eigensolver::two_stage;
    options.precision = Precision::single_;
    expect_values(spectrum_of(world, reader, options), truth, 2e-5);
    options.unsquared = true;
    expect_values(spectrum_of(world, reader, options), truth, 1e-13);
}

TEST(GramSpectrumTest, SmallValuesKeepTheirDigitsUnsquared) {
    const auto world = mpi::Communicator::world();
    Planted planted(world, 40);
    const std::vector<double> truth = add_close_pairs(planted);
    GramOptions options = gram_options();
    options.unsquared = true;
    const Spectrum spectrum = spectrum_of(world, planted.open(), options);
    EXPECT_LT(spectrum.floor, 1e-13);
    for (std::size_t i = 0; i < truth.size(); ++i) {
        EXPECT_NEAR(std::sqrt(spectrum.lambda[i]), truth[i], 1e-14) << i;
        EXPECT_LE(std::sqrt(spectrum.lambda_lower[i]), truth[i] + 1e-15) << i;
        EXPECT_GE(std::sqrt(spectrum.lambda_upper[i]), truth[i] - 1e-15) << i;
    }
    world.barrier();
}

TEST(GramSpectrumTest, OfOneColumn) {
    expect_planted(1, [](Planted& p) { p.one_hot(0, 7); }, {7});
}

TEST(GramSpectrumTest, OfOneHotRowsAloneIsTheirDiagonal) {
    std::vector<double> truth;
    for (std::int64_t c = 0; c < 500; ++c) truth.push_back(static_cast<double>(1 + c % 4));
    expect_planted(
        500,
        [](Planted& p) {
            for (std::int64_t c = 0; c < 500; ++c) p.one_hot(c, 1 + c % 4);
        },
        truth);
}

TEST(GramSpectrumTest, OfEqualRowsHasRankOne) {
    // One row over all columns, 300 times: G = 300 (1/n)(1/n)' 1 1', so lambda = 300 / n and zeros.
    constexpr std::int64_t n = 300;
    std::vector<double> truth(n);
    truth[0] = 1;
    expect_planted(
        n,
        [](Planted& p) {
            std::vector<std::int32_t> all(n);
            std::iota(all.begin(), all.end(), 0);
            p.row(all, std::vector<std::uint64_t>(n, 1), n);
        },
        truth);
}

TEST(GramSpectrumTest, OfBlocksIsTheUnionOfTheirs) {
    // Components of 300 and 270 columns (over all ranks), of 200 and 30 (on one), isolated and zero ones.
    expect_planted(830, [](Planted& p) {
        std::int32_t first = 0;
        for (const std::int32_t size : {300, 30, 270, 200}) {
            for (std::int32_t c = 0; c + 1 < size; ++c)
                p.row({first + c, first + c + 1}, {static_cast<std::uint64_t>(1 + c % 3), 1}, 1 + c % 2);
            first += size;
        }
        for (std::int32_t c = first; c < 825; ++c) p.one_hot(c, 3);
    });
}

TEST(GramSpectrumTest, OfPlateaus) {
    expect_planted(400, add_plateaus);
}

TEST(GramSpectrumTest, OfTextAndOfLongRows) {
    // Rows of 256 columns and more are added as products of 64 of them; of the rest, 30 are, 6 are not.
    for (const std::int32_t long_rows : {64 + 30, 64 + 6})
        expect_planted(700, [&](Planted& p) {
            add_text_like_rows(p, 400, 3);
            for (std::int32_t row = 0; row < long_rows; ++row) {
                std::vector<std::int32_t> columns;
                std::vector<std::uint64_t> counts;
                for (std::int32_t c = row % 3; c < 700; c += 2)
                    columns.push_back(c), counts.push_back(1 + (c * row) % 5);
                p.row(columns, counts, 2);
            }
        });
}

/// K vectors are orthonormal and G V = V L, with G from the dense oracle.
void expect_vectors(const Spectrum& s, const dense::SmallMatrix& gram, std::int64_t count, double slack) {
    const std::int64_t n = gram.rows();
    ASSERT_EQ(s.vector_count(), count);
    dense::SmallMatrix v(n, count);
    for (std::int64_t k = 0; k < count; ++k)
        for (std::int64_t i = 0; i < n; ++i)
            v.at(i, k) = s.right_vectors[static_cast<std::size_t>(k * n + i)];
    const dense::SmallMatrix gv = dense::product(gram, v), vv = dense::transposed_product(v, v);
    for (std::int64_t k = 0; k < count; ++k) {
        for (std::int64_t i = 0; i < n; ++i)
            ASSERT_NEAR(gv.at(i, k), s.lambda[static_cast<std::size_t>(k)] * v.at(i, k), slack * s.lambda[0])
                << "vector " << k;
        for (std::int64_t i = 0; i < count; ++i)
            ASSERT_NEAR(vv.at(i, k), i == k ? 1 : 0, slack) << i << ", " << k;
    }
    EXPECT_GE(s.backward_error, 0);
    EXPECT_LT(s.backward_error, slack);
}

TEST(GramSpectrumTest, VectorsSpanWhatTheValuesSay) {
    const auto world = mpi::Communicator::world();
    const std::vector<std::pair<std::int64_t, Plant>> cases{
        {600, [](Planted& p) { add_text_like_rows(p, 2000, 5); }},
        {400, add_plateaus},    // every value many times over, in components of two
        {610, [](Planted& p) {  // a large component, a small one and columns alone
             for (std::int32_t c = 0; c + 1 < 500; ++c) p.row({c, c + 1}, {1, 1}, 1);
             for (std::int32_t c = 500; c + 1 < 600; ++c) p.row({c, c + 1}, {2, 1}, 2);
             for (std::int32_t c = 600; c < 610; ++c) p.one_hot(c, 2);
         }}};
    for (const auto& [columns, plant] : cases) {
        const SharedDirectory scratch(world);
        Planted planted(world, columns);
        plant(planted);
        const matrix::MatrixReader reader = planted.open();
        GramOptions options = gram_options();
        options.checkpoint = scratch / "cross-product";
        for (const std::int64_t count : {std::int64_t{1}, std::int64_t{100}, columns + 5}) {
            options.vectors = count;
            const Spectrum s = spectrum_of(world, reader, options);
            if (world.is_root()) expect_vectors(s, planted.gram, std::min(count, columns), 1e-12);
        }
        options.precision = Precision::single_;
        options.vectors = 40;
        const Spectrum s = spectrum_of(world, reader, options);
        if (world.is_root()) expect_vectors(s, planted.gram, 40, 2e-5);
    }
}

TEST(GramCheckpointTest, IsReadOnAnyNumberOfRanksAndRefusedWhenDamaged) {
    const auto world = mpi::Communicator::world();
    const SharedDirectory scratch(world);
    Planted planted(world, 600);
    add_text_like_rows(planted, 1500, 8);
    const matrix::MatrixReader reader = planted.open();
    GramOptions options = gram_options();
    const Spectrum without = spectrum_of(world, reader, options);
    options.checkpoint = scratch / "cross-product";
    // Written by the first rank alone, read by all; then by all, read by all.
    const auto alone = world.split(world.rank(), 0);
    if (world.is_root()) {
        EXPECT_EQ(spectrum_of(alone, reader, options).size(), 600);
    }
    world.barrier();
    for (int round = 0; round < 2; ++round) {
        const Spectrum found = spectrum_of(world, reader, options);
        for (std::size_t i = 0; i < 600; ++i)
            ASSERT_NEAR(found.lambda[i], without.lambda[i], 1e-13 * without.lambda[0]);
        if (round == 0 && world.is_root()) remove_gram_checkpoint(options.checkpoint);
        world.barrier();
    }
    const GramCheckpoint<double> checkpoint(
        options.checkpoint,
        {{"matrix", reader.manifest().digest.hex()}, {"row_weight", "uniform"}, {"precision", "double"}});
    EXPECT_TRUE(checkpoint.exists(world));
    EXPECT_FALSE(GramCheckpoint<double>(options.checkpoint, {{"matrix", "another"}}).exists(world));
    world.barrier();
    if (world.is_root()) {  // one wrong bit in the middle of a file
        const auto path = options.checkpoint / "columns-00000.h5";
        std::string bytes = io::read_file(path);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        io::write_file(path, bytes);
    }
    world.barrier();
    const Components components = checkpoint.read_components(world);
    EXPECT_THROW(checkpoint.read(world, components), Error);
    EXPECT_NEAR(spectrum_of(world, reader, options).lambda[0], without.lambda[0], 1e-13 * without.lambda[0]);
}

TEST(GramSpectrumTest, ASumThatDoesNotHoldIsAnError) {
    const auto world = mpi::Communicator::world();
    Planted planted(world, 300);
    add_text_like_rows(planted, 500, 8);
    planted.lose_a_context();
    const matrix::MatrixReader reader = planted.open();
    EXPECT_THROW(spectrum_of(world, reader, gram_options()), Error);
}

}  // namespace
}  // namespace eckart::svd
