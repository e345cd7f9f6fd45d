#include "eckart/base/error.hpp"
#include "eckart/base/random.hpp"
#include "eckart/dense/eigenvalues.hpp"
#include "eckart/dense/symmetric_columns.hpp"
#include "eckart/dense/two_stage.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

namespace eckart::dense {
namespace {

using Entry = std::function<double(std::int64_t, std::int64_t)>;

/// Entry (row, column), row >= column, of the whole matrix decides every rank's part.
template <typename T>
SymmetricColumns<T> spread(const mpi::Communicator& comm, std::int64_t size, std::int64_t width,
                           const Entry& entry) {
    SymmetricColumns<T> matrix(comm, size, width);
    for (std::int64_t j = 0; j < size; ++j)
        if (matrix.is_mine(matrix.block_of(j)))
            for (std::int64_t i = j; i < size; ++i) *matrix.at(i, j) = static_cast<T>(entry(i, j));
    return matrix;
}

std::vector<double> by_lapack(std::int64_t size, const Entry& entry) {
    SmallMatrix whole(size, size);
    for (std::int64_t j = 0; j < size; ++j)
        for (std::int64_t i = j; i < size; ++i) whole.at(i, j) = entry(i, j);
    std::vector<double> values = symmetric_eigenvalues(std::move(whole));
    std::reverse(values.begin(), values.end());
    return values;
}

template <typename T>
std::vector<double> in_two_stages(std::int64_t size, std::int64_t width, const Entry& entry, int threads) {
    const auto world = mpi::Communicator::world();
    auto matrix = spread<T>(world, size, width, entry);
    Progress silent = Progress::silent();
    return TwoStage<T>(matrix, TwoStage<T>::Vectors::never, threads, silent).values();
}

double random_entry(std::int64_t i, std::int64_t j) {
    static const CounterRandom random(7);
    return random.gaussian(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j));
}

/// The same, positive definite, as cross products are.
double positive_entry(std::int64_t i, std::int64_t j) {
    return random_entry(i, j) + (i == j ? 60 : 0);
}

void expect_equal(const std::vector<double>& found, const std::vector<double>& wanted, double relative) {
    ASSERT_EQ(found.size(), wanted.size());
    double largest = 0;
    for (const double value : wanted) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_NEAR(found[i], wanted[i], relative * largest) << "value " << i << " of " << found.size();
}

TEST(TwoStageTest, AgreesWithLapackOnEverySizeAndWidth) {
    // 1, 2: hardly a matrix; 63, 64, 65: at the band; 128, 129: two bands; 400: blocks of several bands.
    for (const std::int64_t size : {1, 2, 3, 63, 64, 65, 127, 128, 129, 200, 400})
        for (const std::int64_t width : {0, 64, 192, 1024})
            expect_equal(in_two_stages<double>(size, width, random_entry, 1), by_lapack(size, random_entry),
                         1e-13);
}

TEST(TwoStageTest, AnyNumberOfThreadsChasesTheSameBulges) {
    const auto wanted = in_two_stages<double>(700, 0, random_entry, 1);
    EXPECT_EQ(in_two_stages<double>(700, 0, random_entry, 2), wanted);
    EXPECT_EQ(in_two_stages<double>(700, 0, random_entry, 5), wanted);
}

/// A Householder similarity of the diagonal `planted` is solved back to it.
void expect_planted(std::int64_t size, const std::function<double(std::int64_t)>& planted) {
    std::vector<double> v(size), wanted;
    double norm = 0, vdv = 0;
    for (std::int64_t i = 0; i < size; ++i) v[i] = random_entry(i, 1000), norm += v[i] * v[i];
    for (double& x : v) x /= std::sqrt(norm);
    for (std::int64_t i = 0; i < size; ++i) vdv += v[i] * v[i] * planted(i);
    const Entry entry = [&](std::int64_t i, std::int64_t j) {
        return (i == j ? planted(i) : 0) - 2 * v[i] * v[j] * (planted(i) + planted(j)) +
               4 * v[i] * v[j] * vdv;
    };
    for (std::int64_t i = 0; i < size; ++i) wanted.push_back(planted(i));
    std::sort(wanted.begin(), wanted.end());
    expect_equal(in_two_stages<double>(size, 0, entry, 2), wanted, 1e-14);
}

TEST(TwoStageTest, FindsPlantedValues) {
    // Repeated, zero and tiny ones; pairs of both signs, as of a Jordan-Wielandt matrix; all but equal ones.
    expect_planted(300, [](std::int64_t i) {
        return i < 100 ? 3.0 : i < 200 ? 0.0 : std::ldexp(1.0, -static_cast<int>(i - 200));
    });
    expect_planted(300,
                   [](std::int64_t i) { return (i % 2 == 0 ? 1 : -1) / (1.0 + static_cast<double>(i / 2)); });
    expect_planted(300, [](std::int64_t i) { return 1 + 1e-15 * static_cast<double>(i % 7); });
}

TEST(TwoStageTest, ZeroIdentityAndRankOne) {
    expect_equal(in_two_stages<double>(
                     150, 0, [](auto, auto) { return 0.0; }, 1),
                 std::vector<double>(150, 0.0), 0);
    expect_equal(in_two_stages<double>(
                     150, 0, [](auto i, auto j) { return i == j ? 1.0 : 0.0; }, 1),
                 std::vector<double>(150, 1.0), 0);
    std::vector<double> wanted(150, 0.0);
    wanted.back() = 150;
    expect_equal(in_two_stages<double>(
                     150, 0, [](auto, auto) { return 1.0; }, 1),
                 wanted, 1e-14);
}

/// A V = V L and V'V = 1 for the leading vectors, with A written out.
template <typename T>
void expect_vectors(std::int64_t size, std::int64_t count, const Entry& entry, double slack) {
    const auto world = mpi::Communicator::world();
    auto matrix = spread<T>(world, size, 0, entry);
    SmallMatrix whole(size, size);
    for (std::int64_t j = 0; j < size; ++j)
        for (std::int64_t i = j; i < size; ++i) whole.at(i, j) = whole.at(j, i) = entry(i, j);
    Progress silent = Progress::silent();
    TwoStage<T> solver(matrix, TwoStage<T>::Vectors::later, 2, silent);
    const std::vector<double>& values = solver.values();
    const double largest = std::max({std::abs(values.front()), std::abs(values.back()), 1e-300});
    const SmallMatrix v = solver.leading_vectors(count, silent), av = product(whole, v),
                      vv = transposed_product(v, v);
    for (std::int64_t k = 0; k < count; ++k) {
        const double lambda = values[static_cast<std::size_t>(size - 1 - k)];
        for (std::int64_t i = 0; i < size; ++i)
            ASSERT_NEAR(av.at(i, k), lambda * v.at(i, k), slack * largest) << size << ": vector " << k;
        for (std::int64_t i = 0; i < count; ++i) ASSERT_NEAR(vv.at(i, k), i == k ? 1 : 0, slack) << size;
    }
}

TEST(TwoStageTest, LeadingVectorsSolveTheProblem) {
    for (const std::int64_t size : {1, 2, 3, 64, 65, 66, 129, 200, 333}) {
        expect_vectors<double>(size, size, positive_entry, 1e-12);
        expect_vectors<double>(size, (size + 2) / 3, positive_entry, 1e-12);
    }
    expect_vectors<float>(200, 50, positive_entry, 1e-4);
}

TEST(TwoStageTest, VectorsOfRepeatedValuesAreOrthonormal) {
    expect_vectors<double>(
        150, 150, [](auto i, auto j) { return i == j ? 1.0 + static_cast<double>(i % 2) : 0.0; }, 1e-13);
    expect_vectors<double>(
        150, 150, [](auto, auto) { return 1.0; }, 1e-13);
    expect_vectors<double>(
        150, 40, [](auto, auto) { return 0.0; }, 1e-13);
}

TEST(TwoStageTest, AValueThatIsNotFiniteIsAnError) {
    const auto world = mpi::Communicator::world();
    Progress silent = Progress::silent();
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        const Entry entry = [&](auto i, auto j) { return i == 150 && j == 100 ? bad : 1.0; };
        auto matrix = spread<double>(world, 200, 0, entry), again = spread<double>(world, 200, 0, entry);
        EXPECT_THROW(TwoStage<double>(matrix, TwoStage<double>::Vectors::never, 1, silent), Error);
        EXPECT_THROW(eigenvalues_by_lapack(again), Error);
        EXPECT_THROW(eigenvalues_by_scalapack(again), Error);
    }
}

TEST(TwoStageTest, StopsAtThePanelAtWhichItIsAsked) {
    const auto world = mpi::Communicator::world();
    Progress silent = Progress::silent();
    auto matrix = spread<double>(world, 1000, 0, random_entry);
    int panels = 0;
    const auto may_stop = [&] {
        if (++panels == 3) throw mpi::SharedError<Interrupted>("stopped");
    };
    EXPECT_THROW(TwoStage<double>(matrix, TwoStage<double>::Vectors::never, 1, silent, may_stop),
                 Interrupted);
    EXPECT_EQ(panels, 3);
}

TEST(EigenvaluesTest, LapackAndScalapackFindTheSameOnEverySize) {
    const auto world = mpi::Communicator::world();
    for (const std::int64_t size : {1, 3, 65, 200}) {
        auto matrix = spread<double>(world, size, 64, random_entry);
        expect_equal(eigenvalues_by_lapack(matrix), by_lapack(size, random_entry), 1e-13);
        expect_equal(eigenvalues_by_scalapack(matrix), by_lapack(size, random_entry), 1e-13);
    }
    auto single = spread<float>(world, 100, 64, random_entry);
    expect_equal(eigenvalues_by_lapack(single), by_lapack(100, random_entry), 3e-6);
    expect_equal(eigenvalues_by_scalapack(single), by_lapack(100, random_entry), 3e-6);
}

TEST(SymmetricColumnsTest, PlannedBytesAreThoseOfTheFullestRank) {
    const auto world = mpi::Communicator::world();
    for (const std::int64_t size : {1, 64, 1000, 3001}) {
        const SymmetricColumns<float> matrix(world, size);
        std::int64_t bytes = 0;
        for (std::int64_t block = 0; block < matrix.block_count(); ++block)
            bytes += static_cast<std::int64_t>(matrix.storage(block).size() * sizeof(float));
        EXPECT_EQ(mpi::all_max(world, bytes), symmetric_columns_bytes(size, world.size(), sizeof(float)));
    }
    // 50,000 columns in single precision: half of the square, on one rank.
    EXPECT_LT(symmetric_columns_bytes(50'000, 1, sizeof(float)), std::int64_t{5'100'000'000});
}

TEST(TwoStageTest, SinglePrecisionKeepsItsDigits) {
    expect_equal(in_two_stages<float>(400, 64, random_entry, 1), by_lapack(400, random_entry), 3e-6);
}

}  // namespace
}  // namespace eckart::dense
