#include "eckart/base/random.hpp"
#include "eckart/svd/bounds.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/cross_operator.hpp"
#include "eckart/svd/randomized_spectrum.hpp"
#include "svd/planted.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace eckart::svd {
namespace {

RandomizedOptions options_for(std::int64_t dimension) {
    RandomizedOptions options;
    options.dimension = dimension;
    options.memory = std::int64_t{1} << 30;
    return options;
}

void expect_inside(const Spectrum& spectrum, const std::vector<double>& truth, double total) {
    const double slack = 1e-12 * truth.front();
    double found = 0, best = 0;
    for (std::int64_t i = 0; i < spectrum.size(); ++i) {
        const auto k = static_cast<std::size_t>(i);
        EXPECT_LE(spectrum.lambda_lower[k], truth[k] + slack) << i;
        EXPECT_GE(spectrum.lambda_upper[k], truth[k] - slack) << i;
        found += spectrum.lambda[k], best += truth[k];
        const double w_found = std::sqrt(std::max(0.0, total - found) / total);
        const double w_best = std::sqrt(std::max(0.0, total - best) / total);
        EXPECT_NEAR(w_found, w_best, 1e-4) << "W-error(" << i + 1 << ")";
    }
}

double trace_of(const dense::SmallMatrix& g) {
    double sum = 0;
    for (std::int64_t i = 0; i < g.rows(); ++i) sum += g.at(i, i);
    return sum;
}

TEST(Operator, MultipliesAsTheDenseMatrixOnEveryArrangement) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 150);
    add_text_like_rows(planted, 300, 3);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const CoupledColumns split = coupled_columns(comm, reader, matrix::RowWeight::uniform, progress);
    for (int strips = 1; strips <= comm.size(); ++strips) {
        if (comm.size() % strips != 0) continue;
        for (const std::int64_t width : {1, 5, 37}) {
            CrossOperator gram(comm, reader, split, matrix::RowWeight::uniform,
                               {comm.size() / strips, strips, true}, 2);
            const CounterRandom random(9);
            dense::TallMatrix x(gram.local_rows(), width);
            for (std::int64_t j = 0; j < width; ++j)
                for (std::int64_t i = 0; i < x.rows(); ++i)
                    x.column(j)[i] = random.gaussian(gram.first_row() + i, j);
            for (int pass = 0; pass < 2; ++pass) {  // the second from memory
                const dense::TallMatrix z = gram.apply(x);
                for (std::int64_t j = 0; j < width; ++j)
                    for (std::int64_t i = 0; i < z.rows(); ++i) {
                        double wanted = 0;
                        for (std::int64_t k = 0; k < gram.size(); ++k)
                            wanted += planted.gram.at(split.coupled[gram.first_row() + i], split.coupled[k]) *
                                      random.gaussian(k, j);
                        EXPECT_NEAR(z.column(j)[i], wanted, 1e-11 * trace_of(planted.gram));
                    }
            }
        }
    }
}

TEST(Randomized, LeadingValuesOfTextLikeRows) {
    const auto comm = mpi::Communicator::world();
    for (const std::uint64_t seed : {1, 2, 3}) {
        Planted planted(comm, 400);
        add_text_like_rows(planted, 900, seed);
        const matrix::MatrixReader reader = planted.open();
        const std::vector<double> truth = dense::symmetric_eigenvalues(planted.gram);
        Progress progress = Progress::silent();
        const Spectrum spectrum = randomized_spectrum(comm, reader, options_for(40), progress);
        require_well_formed(spectrum, "spectrum");
        expect_inside(spectrum, truth, trace_of(planted.gram));
        comm.barrier();
    }
}

TEST(Randomized, PlateausLongerThanTheBlock) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 360);
    add_plateaus(planted);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const Spectrum spectrum = randomized_spectrum(comm, reader, options_for(100), progress);
    expect_inside(spectrum, dense::symmetric_eigenvalues(planted.gram), trace_of(planted.gram));
    comm.barrier();
}

TEST(Randomized, AllValuesWhenAllAreWanted) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 70);
    add_text_like_rows(planted, 12, 4);  // many columns in one-hot rows alone, or in none; rank < K
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const Spectrum spectrum = randomized_spectrum(comm, reader, options_for(500), progress);
    const std::vector<double> truth = dense::symmetric_eigenvalues(planted.gram);
    EXPECT_TRUE(spectrum.complete);
    ASSERT_EQ(spectrum.size(), 70);
    for (std::size_t i = 0; i < truth.size(); ++i)
        EXPECT_NEAR(spectrum.lambda[i], truth[i], 1e-12 * truth[0]);
    comm.barrier();
}

TEST(Randomized, VectorsAreThoseOfTheValues) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 200);
    add_text_like_rows(planted, 300, 8);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    RandomizedOptions options = options_for(10);
    options.vectors = true;
    options.tolerance = 1e-9;
    const Spectrum spectrum = randomized_spectrum(comm, reader, options, progress);
    if (!comm.is_root()) return;
    ASSERT_EQ(spectrum.vector_count(), 10);
    for (std::int64_t k = 0; k < 3; ++k) {
        const double* v = spectrum.right_vectors.data() + k * 200;
        for (std::int64_t i = 0; i < 200; ++i) {
            double gv = 0;
            for (std::int64_t j = 0; j < 200; ++j) gv += planted.gram.at(i, j) * v[j];
            EXPECT_NEAR(gv, spectrum.lambda[static_cast<std::size_t>(k)] * v[i], 1e-3 * spectrum.lambda[0]);
        }
    }
}

}  // namespace
}  // namespace eckart::svd
