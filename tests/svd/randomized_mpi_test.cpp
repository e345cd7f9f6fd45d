#include "eckart/base/random.hpp"
#include "eckart/svd/bounds.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/cross_operator.hpp"
#include "eckart/svd/explicit_operator.hpp"
#include "eckart/svd/krylov_basis.hpp"
#include "eckart/svd/panel_store.hpp"
#include "eckart/svd/randomized_spectrum.hpp"
#include "svd/planted.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {
std::int64_t bytes_sent = 0;
}

/// Takes the place of MPI's own, to count what travels.
extern "C" int MPI_Isend(const void* data, int count, MPI_Datatype type, int target, int tag, MPI_Comm comm,
                         MPI_Request* request) {
    int size = 0;
    PMPI_Type_size(type, &size);
    bytes_sent += std::int64_t{size} * count;
    return PMPI_Isend(data, count, type, target, tag, comm, request);
}

namespace eckart::svd {
namespace {

namespace fs = std::filesystem;

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
    const CounterRandom random(9);
    constexpr std::int64_t batch_bytes = 1;  // of a block each
    for (int strips = 1; strips <= comm.size(); ++strips)
        for (const Kept kept : {Kept::nothing, Kept::rows, Kept::products, Kept::file})
            for (const std::int64_t width : {1, 5, 37, 70}) {
                if (comm.size() % strips != 0) continue;
                const PassPlan plan{comm.size() / strips, strips, kept, batch_bytes};
                CrossOperator gram(comm, reader, split, matrix::RowWeight::uniform, plan,
                                   {0, 2, fs::temp_directory_path(), 0});
                const dense::TallMatrix x = gaussian(gram, 9, 0, width);
                for (int pass = 0; pass < 2; ++pass) {  // the second from memory
                    const std::int64_t before = bytes_sent;
                    const dense::TallMatrix z = gram.apply(x);
                    EXPECT_EQ(mpi::all_sum(comm, bytes_sent - before),
                              exchanged_bytes(gram.size(), width, plan));
                    for (std::int64_t j = 0; j < width; ++j)
                        for (std::int64_t i = 0; i < z.rows(); ++i) {
                            double wanted = 0;
                            for (std::int64_t k = 0; k < gram.size(); ++k)
                                wanted +=
                                    planted.gram.at(split.coupled[gram.first_row() + i], split.coupled[k]) *
                                    random.gaussian(k, j);
                            EXPECT_NEAR(z.column(j)[i], wanted, 1e-11 * trace_of(planted.gram));
                        }
                }
            }
}

/// Writes here and there into the middle half of a file.
void damage(const fs::path& path) {
    const auto size = static_cast<std::int64_t>(fs::file_size(path));
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (std::int64_t at = size / 4; at < 3 * size / 4; at += 64) file.seekp(at), file.write("damaged", 7);
}

TEST(Operator, ABlockDamagedBetweenPassesIsNamedByAllRanks) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 100);
    add_text_like_rows(planted, 300, 3);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const CoupledColumns split = coupled_columns(comm, reader, matrix::RowWeight::uniform, progress);
    CrossOperator gram(comm, reader, split, matrix::RowWeight::uniform, {comm.size(), 1, Kept::nothing, 0},
                       {0, 1, {}, 0});
    const dense::TallMatrix x = gaussian(gram, 1, 0, 20);
    gram.apply(x);
    comm.barrier();
    if (comm.is_root()) damage(reader.directory() / reader.manifest().blocks.front().file);
    comm.barrier();
    try {
        gram.apply(x);
        ADD_FAILURE() << "a damaged block was multiplied";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr(reader.manifest().blocks.front().file));
    }
    comm.barrier();
}

TEST(Operator, ExplicitMultipliesAsTheDenseMatrix) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 150);
    add_text_like_rows(planted, 300, 3);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const CoupledColumns split = coupled_columns(comm, reader, matrix::RowWeight::uniform, progress);
    ExplicitOperator gram(comm, reader, split, matrix::RowWeight::uniform, progress);
    const dense::TallMatrix x = gaussian(gram, 9, 0, 70), z = gram.apply(x);
    const CounterRandom random(9);
    for (std::int64_t j = 0; j < x.columns(); ++j)
        for (std::int64_t i = 0; i < z.rows(); ++i) {
            double wanted = 0;
            for (std::int64_t k = 0; k < gram.size(); ++k)
                wanted += planted.gram.at(split.coupled[gram.first_row() + i], split.coupled[k]) *
                          random.gaussian(k, j);
            EXPECT_NEAR(z.column(j)[i], wanted, 1e-11 * trace_of(planted.gram));
        }
    comm.barrier();
}

TEST(Randomized, FormsGWhereThatIsCheaper) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 60);
    add_text_like_rows(planted, 2000, 6);  // many rows, few columns
    const matrix::MatrixReader reader = planted.open();
    EXPECT_THAT(randomized_memory_plan(reader, comm.size(), options_for(20)).describe(),
                testing::HasSubstr("explicit G"));
    Progress progress = Progress::silent();
    const Spectrum spectrum = randomized_spectrum(comm, reader, options_for(20), progress);
    expect_inside(spectrum, dense::symmetric_eigenvalues(planted.gram), trace_of(planted.gram));
    comm.barrier();
}

/// Ends as a killed job does, in pass `passes` + 1.
class Failing : public SymmetricOperator {
public:
    Failing(SymmetricOperator& inner, int passes)
        : SymmetricOperator(inner.comm(), inner.size()), inner_(inner), left_(passes) {}
    dense::TallMatrix apply(const dense::Columns& x) override {
        require(left_-- > 0, "killed");
        return inner_.apply(x);
    }

private:
    SymmetricOperator& inner_;
    int left_;
};

TEST(Checkpoint, EveryPassResumesOnOtherRanks) {
    const auto world = mpi::Communicator::world();
    Planted planted(world, 120);
    add_text_like_rows(planted, 300, 3);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const KrylovSizes sizes{8, 40, 16};  // restarts in pass 6 and 9
    constexpr int passes = 10;
    const auto operator_of = [&](const mpi::Communicator& comm) {
        const CoupledColumns split = coupled_columns(comm, reader, matrix::RowWeight::uniform, progress);
        return ExplicitOperator(comm, reader, split, matrix::RowWeight::uniform, progress);
    };
    ExplicitOperator gram = operator_of(world);
    KrylovBasis whole(gram, sizes, 1);
    while (whole.passes() < passes) whole.grow();
    EXPECT_GE(whole.restarts(), 2);
    const std::vector<double> wanted = whole.turn_to_ritz_vectors();
    EXPECT_LT(whole.recurrence_error(), 1e-13);
    const mpi::Communicator few = world.split(world.rank() < (world.size() + 1) / 2 ? 0 : 1, world.rank());
    const bool first = world.rank() < (world.size() + 1) / 2;
    for (int killed = 0; killed < passes; ++killed) {
        const fs::path directory = reader.directory() / fmt::format("checkpoint-{}", killed);
        if (first) {  // some of the ranks begin
            ExplicitOperator part = operator_of(few);
            Failing failing(part, killed);
            PanelStore store(few, directory, "recipe");
            KrylovBasis basis(failing, sizes, 1);
            EXPECT_THROW(
                for (;;) {
                    basis.grow();
                    basis.save(store, {3.0});
                },
                Error);
        }
        world.barrier();
        PanelStore store(world, directory, "recipe");  // all of them go on
        KrylovBasis basis(gram, sizes, 1);
        const auto extra = basis.resume(store);
        EXPECT_EQ(extra.has_value(), killed > 0);
        EXPECT_EQ(basis.passes(), killed);
        while (basis.passes() < passes) basis.grow();
        const std::vector<double> found = basis.turn_to_ritz_vectors();
        ASSERT_EQ(found.size(), wanted.size());
        for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(found[i], wanted[i], 1e-10 * wanted[0]) << killed;
        EXPECT_FALSE(PanelStore(world, directory, "another").state().has_value());
        world.barrier();
    }
}

TEST(Checkpoint, ADamagedPanelIsNamed) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 60);
    add_text_like_rows(planted, 200, 3);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    const CoupledColumns split = coupled_columns(comm, reader, matrix::RowWeight::uniform, progress);
    ExplicitOperator gram(comm, reader, split, matrix::RowWeight::uniform, progress);
    PanelStore store(comm, reader.directory() / "checkpoint", "recipe");
    KrylovBasis basis(gram, {8, 40, 16}, 1);
    basis.grow();
    basis.save(store, {});
    comm.barrier();
    if (comm.is_root())
        for (const auto& entry : fs::directory_iterator(store.directory())) {
            if (!entry.path().filename().string().starts_with("next-")) continue;
            damage(entry.path());
        }
    comm.barrier();
    KrylovBasis again(gram, {8, 40, 16}, 1);
    try {
        again.resume(store);
        ADD_FAILURE() << "a damaged checkpoint was taken up";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("next-00001"));
    }
    comm.barrier();
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

TEST(Randomized, SmallValuesKeepTheirDigitsUnsquared) {
    const auto comm = mpi::Communicator::world();
    Planted planted(comm, 40);
    const std::vector<double> truth = add_close_pairs(planted);
    const matrix::MatrixReader reader = planted.open();
    Progress progress = Progress::silent();
    RandomizedOptions options = options_for(40);
    options.unsquared = true;
    const Spectrum spectrum = randomized_spectrum(comm, reader, options, progress);
    require_well_formed(spectrum, "spectrum");
    EXPECT_LT(spectrum.floor, 1e-13);
    for (std::int64_t i = 0; i < 40; ++i) {
        const auto k = static_cast<std::size_t>(i);
        EXPECT_NEAR(spectrum.sigma(i), truth[k], 1e-14) << i;
        EXPECT_LE(std::sqrt(spectrum.lambda_lower[k]), truth[k] + 1e-15) << i;
        EXPECT_GE(std::sqrt(spectrum.lambda_upper[k]), truth[k] - 1e-15) << i;
    }
    EXPECT_LT(truth.back(), 1e-9);
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
