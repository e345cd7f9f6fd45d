#include "eckart/base/random.hpp"
#include "eckart/matrix/block_file.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/bounds.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/cross_operator.hpp"
#include "eckart/svd/randomized_spectrum.hpp"
#include "scratch_directory.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace eckart::svd {
namespace {

/// A matrix directory made by the first rank, and its dense G.
class Planted {
public:
    Planted(const mpi::Communicator& comm, std::int64_t columns) : comm_(comm), gram(columns, columns) {
        one_hot_.resize(static_cast<std::size_t>(columns));
        block_.columns = columns;
    }
    void row(std::vector<std::int32_t> indices, std::vector<std::uint64_t> counts,
             std::int64_t multiplicity) {
        const auto total =
            static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
        for (std::size_t i = 0; i < indices.size(); ++i)
            for (std::size_t j = 0; j < indices.size(); ++j)
                gram.at(indices[i], indices[j]) += static_cast<double>(multiplicity) *
                                                   (static_cast<double>(counts[i]) / total) *
                                                   (static_cast<double>(counts[j]) / total);
        block_.append_row(indices, counts, multiplicity, multiplicity * static_cast<std::int64_t>(total));
        if (block_.rows() == 40) end_block();
    }
    void one_hot(std::int64_t column, std::int64_t multiplicity) {
        one_hot_[static_cast<std::size_t>(column)] += multiplicity;
        gram.at(column, column) += static_cast<double>(multiplicity);
    }
    /// Writes it; every rank opens it.
    matrix::MatrixReader open() {
        end_block();
        if (comm_.is_root()) {
            scratch_ = std::make_unique<ScratchDirectory>();
            matrix::Manifest manifest;
            manifest.order = 2;
            manifest.columns = gram.rows();
            manifest.ngrams = 1;
            double trace = 0;
            for (std::int64_t i = 0; i < gram.rows(); ++i) trace += gram.at(i, i);
            manifest.frobenius_squared =
                ExactSum(static_cast<std::uint64_t>(trace),
                         static_cast<std::uint64_t>((trace - std::floor(trace)) * 0x1p64));
            matrix::Columns all;
            all.token_ids.resize(one_hot_.size());
            std::iota(all.token_ids.begin(), all.token_ids.end(), 0);
            all.one_hot_multiplicity = all.one_hot_weight = one_hot_;
            matrix::write_columns(scratch_->path(), all);
            matrix::BlockFileWriter writer(scratch_->path(), 0, {});
            for (std::size_t i = 0; i < blocks_.size(); ++i)
                writer.add(static_cast<std::int64_t>(i), blocks_[i]);
            manifest.blocks = writer.commit();
            matrix::write_manifest(scratch_->path(), manifest);
        }
        const std::string path = mpi::broadcast(comm_, scratch_ ? scratch_->path().string() : std::string());
        return matrix::MatrixReader(path);
    }

private:
    void end_block() {
        if (block_.rows() == 0) return;
        blocks_.push_back(std::move(block_));
        block_ = {};
        block_.columns = gram.rows();
    }
    const mpi::Communicator& comm_;
    matrix::CsrBlock block_;
    std::vector<matrix::CsrBlock> blocks_;
    std::vector<std::int64_t> one_hot_;
    std::unique_ptr<ScratchDirectory> scratch_;

public:
    dense::SmallMatrix gram;
};

/// Random rows over popular and rare columns, as words have.
void add_text_like_rows(Planted& planted, std::int64_t rows, std::uint64_t seed) {
    const CounterRandom random(seed);
    const auto columns = static_cast<double>(planted.gram.rows());
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto row = static_cast<std::uint64_t>(r);
        std::set<std::int32_t> chosen;
        for (std::uint64_t k = 0; k < 2 + random.bits(row, 0) % 6 || chosen.size() < 2; ++k)
            chosen.insert(static_cast<std::int32_t>(columns * std::pow(random.uniform(row, k, 3), 3)));
        std::vector<std::uint64_t> counts;
        for (std::size_t i = 0; i < chosen.size(); ++i) counts.push_back(1 + random.bits(row, i, 5) % 9);
        planted.row({chosen.begin(), chosen.end()}, counts,
                    1 + static_cast<std::int64_t>(random.bits(row, 7) % 3));
    }
    for (std::int64_t c = 0; c < planted.gram.rows(); c += 2)
        planted.one_hot(c, 1 + static_cast<std::int64_t>(columns) / (c + 1));
}

/// Pairs of columns that meet nowhere else: each gives 1 and 0 (times its multiplicity): long plateaus.
void add_plateaus(Planted& planted) {
    for (std::int32_t c = 0; c + 1 < planted.gram.rows(); c += 2) {
        planted.row({c, c + 1}, {1, 1}, 1 + c % 3);
        planted.one_hot(c, 1 + c % 2), planted.one_hot(c + 1, 1 + c % 2);
    }
}

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
