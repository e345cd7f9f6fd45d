#include "eckart/io/hdf5.hpp"

#include "scratch_directory.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace eckart::io {
namespace {

class Hdf5 : public testing::TestWithParam<std::int64_t> {
protected:
    void SetUp() override { set_hdf5_transfer_bytes(GetParam()); }
    void TearDown() override { set_hdf5_transfer_bytes(std::int64_t{1} << 30); }
    ScratchDirectory scratch;
};
// Whole, and in transfers of three doubles, so that the path beyond 1 GiB runs on small data.
INSTANTIATE_TEST_SUITE_P(Transfers, Hdf5, testing::Values(std::int64_t{1} << 30, 24));

TEST_P(Hdf5, KeepsWhatIsWritten) {
    const std::vector<double> values{1.5, -2, 3, 1e300, 0, 6, 7};
    const std::vector<std::int64_t> large{std::int64_t{1} << 40, -1};
    const std::vector<double> table{1, 2, 3, 4, 5, 6, 7, 8};
    {
        Hdf5File file = Hdf5File::create(scratch / "a.h5");
        file.write("group/inner/values", values);
        file.write("large", large);
        file.write("packed", values, {}, {.deflate_level = 4, .chunk_elements = 2});
        file.write("table", table, {4, 2}, {.deflate_level = 1});
        file.write("empty", std::vector<std::int32_t>{});
        file.write_strings("texts", {"", "caf\u00e9", "a b"});
        file.set_attribute("/", "text", "value");
        file.set_attribute("group", "number", 7.25);
        file.close();
    }
    const Hdf5File file = Hdf5File::open(scratch / "a.h5");
    EXPECT_EQ(file.read<double>("group/inner/values"), values);
    EXPECT_EQ(file.read<double>("packed"), values);
    EXPECT_EQ(file.read<std::int64_t>("large"), large);
    EXPECT_EQ(file.read<double>("table"), table);
    EXPECT_EQ(file.shape("table"), (std::vector<std::int64_t>{4, 2}));
    EXPECT_TRUE(file.read<std::int32_t>("empty").empty());
    EXPECT_EQ(file.read_strings("texts"), (std::vector<std::string>{"", "caf\u00e9", "a b"}));
    EXPECT_EQ(file.text_attribute("/", "text"), "value");
    EXPECT_EQ(file.attribute<double>("group", "number"), 7.25);
    EXPECT_EQ(file.members("/"),
              (std::vector<std::string>{"empty", "group", "large", "packed", "table", "texts"}));
    std::vector<double> part(3);
    file.read_part("group/inner/values", 2, std::span(part));
    EXPECT_EQ(part, (std::vector<double>{3, 1e300, 0}));
    std::vector<double> rows(4);
    file.read_part("table", 2, std::span(rows));
    EXPECT_EQ(rows, (std::vector<double>{3, 4, 5, 6}));
    EXPECT_THROW(file.read_part("table", 6, std::span(rows)), Error);
}

TEST_P(Hdf5, PartsFillAReservedDataset) {
    Hdf5File file = Hdf5File::create(scratch / "b.h5");
    file.reserve<double>("m", {3, 2});
    file.write_part<double>("m", 2, std::vector<double>{3, 4, 5, 6});
    file.write_part<double>("m", 0, std::vector<double>{1, 2});
    EXPECT_EQ(file.read<double>("m"), (std::vector<double>{1, 2, 3, 4, 5, 6}));
}

TEST(Hdf5Errors, NameTheFileAndTheCause) {
    const ScratchDirectory scratch;
    const auto message = [](auto call) -> std::string {
        try {
            call();
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_NE(message([&] { Hdf5File::open(scratch / "none.h5"); }).find("none.h5"), std::string::npos);
    std::ofstream(scratch / "text.h5") << "not HDF5";
    EXPECT_NE(
        message([&] { Hdf5File::open(scratch / "text.h5"); }).find("text.h5 is not a readable HDF5 file"),
        std::string::npos);
    EXPECT_NE(message([&] { Hdf5File::create(scratch / "no" / "such" / "x.h5"); }).find("x.h5"),
              std::string::npos);
    Hdf5File file = Hdf5File::create(scratch / "c.h5");
    EXPECT_NE(message([&] { file.read<double>("missing"); }).find("missing"), std::string::npos);
}

}  // namespace
}  // namespace eckart::io
