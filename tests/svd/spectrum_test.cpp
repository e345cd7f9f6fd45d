#include "eckart/svd/spectrum.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "scratch_directory.hpp"

#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace eckart::svd {
namespace {

using testing::HasSubstr;

Spectrum three_values() {
    Spectrum s;
    s.lambda = {4, 1, 0.25};
    s.lambda_lower = {3.9, 0.9, 0};
    s.lambda_upper = {4.1, 1.1, 0.5};
    s.right_vectors = {1, 0, 0, 0, 0, 1, 0, 0};
    s.token_ids = {3, 5, 8, 13};
    s.method = "randomized";
    s.frobenius_squared = 5.5;
    s.columns = 4;
    s.contexts = 7;
    s.floor = 1e-8;
    s.failure_probability = 1e-9;
    s.matrix_digest = "0123";
    s.recipe = {{"dimension", 3}};
    s.stages = {{{"name", "pass"}, {"seconds", 0.5}}};
    s.notes = {"a note"};
    return s;
}

template <typename Action>
std::string error_of(Action action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

TEST(SpectrumTest, IsReadAsWritten) {
    ScratchDirectory scratch;
    write_spectrum(scratch / "spectrum.h5", three_values());
    const Spectrum s = read_spectrum(scratch / "spectrum.h5", Vectors::read);
    EXPECT_EQ(s.lambda, three_values().lambda);
    EXPECT_EQ(s.lambda_lower, three_values().lambda_lower);
    EXPECT_EQ(s.right_vectors, three_values().right_vectors);
    EXPECT_EQ(s.vector_count(), 2);
    EXPECT_EQ(s.sigma(0), 2);
    EXPECT_EQ(s.recipe, three_values().recipe);
    EXPECT_EQ(s.stages, three_values().stages);
    EXPECT_EQ(s.notes, three_values().notes);
    EXPECT_FALSE(s.complete);
    EXPECT_TRUE(read_spectrum(scratch / "spectrum.h5").right_vectors.empty());
    EXPECT_EQ(spectrum_recipe(scratch / "spectrum.h5"), three_values().recipe);
    EXPECT_TRUE(spectrum_recipe(scratch / "absent.h5").is_null());
}

TEST(SpectrumTest, OfAMatrixWithoutColumnsIsEmpty) {
    ScratchDirectory scratch;
    Spectrum none;
    none.method = "gram";
    none.complete = true;
    write_spectrum(scratch / "spectrum.h5", none);
    EXPECT_EQ(read_spectrum(scratch / "spectrum.h5", Vectors::read).size(), 0);
}

TEST(SpectrumTest, IsRefusedWhenMalformed) {
    const auto fault = [](auto change) {
        Spectrum s = three_values();
        change(s);
        return error_of([&] { require_well_formed(s, "s"); });
    };
    EXPECT_EQ(fault([](Spectrum&) {}), "no error");
    EXPECT_THAT(fault([](Spectrum& s) { s.lambda[2] = 2; }),
                HasSubstr("value 3 is negative or out of order"));
    EXPECT_THAT(fault([](Spectrum& s) { s.lambda[2] = -1; }), HasSubstr("negative"));
    EXPECT_THAT(fault([](Spectrum& s) { s.lambda[1] = std::numeric_limits<double>::quiet_NaN(); }),
                HasSubstr("not finite"));
    EXPECT_THAT(fault([](Spectrum& s) { s.lambda_upper[0] = 3.95; }), HasSubstr("outside its interval"));
    EXPECT_THAT(fault([](Spectrum& s) { s.lambda_lower.pop_back(); }), HasSubstr("2 lower"));
    EXPECT_THAT(fault([](Spectrum& s) { s.complete = true; }), HasSubstr("complete with 3 values of 4"));
    EXPECT_THAT(fault([](Spectrum& s) { s.right_vectors.pop_back(); }), HasSubstr("vectors"));
}

TEST(SpectrumTest, ChangedAfterwardsIsRefused) {
    ScratchDirectory scratch;
    const auto path = scratch / "spectrum.h5";
    write_spectrum(path, three_values());
    const std::string bytes = io::read_file(path);
    const double needle = three_values().lambda_upper[1];
    const auto at = bytes.find(std::string_view(reinterpret_cast<const char*>(&needle), sizeof needle));
    ASSERT_NE(at, std::string::npos);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    io::write_file(path, changed);
    EXPECT_THAT(error_of([&] { read_spectrum(path); }), HasSubstr("not the one that was written"));
    io::write_file(path, bytes.substr(0, bytes.size() / 2));
    EXPECT_THAT(error_of([&] { read_spectrum(path); }), HasSubstr("spectrum.h5"));
}

TEST(SpectrumTest, OtherFilesAreNotSpectra) {
    ScratchDirectory scratch;
    io::Hdf5File::create(scratch / "other.h5").close();
    EXPECT_THAT(error_of([&] { read_spectrum(scratch / "other.h5"); }), HasSubstr("is not a spectrum"));
    EXPECT_THAT(error_of([&] { read_spectrum(scratch / "absent.h5"); }), HasSubstr("there is no spectrum"));
}

}  // namespace
}  // namespace eckart::svd
