#include "eckart/matrix/matrix_reader.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "scratch_directory.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace eckart::matrix {
namespace {

/// Six blocks of growing size over ten columns in two files; the last holds a count beyond 32 bits.
class MatrixDirectory : public testing::TestWithParam<int> {
protected:
    void SetUp() override {
        Manifest manifest;
        manifest.order = 3;
        manifest.columns = 10;
        manifest.ngrams = 100;
        manifest.frobenius_squared = ExactSum(7, std::uint64_t{1} << 63);
        write_columns(scratch.path(), {.token_ids = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18},
                                       .one_hot_multiplicity = std::vector<std::int64_t>(10, 3),
                                       .one_hot_weight = std::vector<std::int64_t>(10, 5),
                                       .pieces = {}});
        for (std::int64_t number = 0; number < 6; ++number) {
            CsrBlock block;
            block.columns = 10;
            for (std::int64_t row = 0; row <= number; ++row)
                block.append_row(std::vector<std::int32_t>{1, static_cast<std::int32_t>(3 + row)},
                                 std::vector<std::uint64_t>{1, number == 5 ? std::uint64_t{1} << 40 : 2},
                                 row + 1, 10 * (row + 1));
            blocks.push_back(block);
        }
        for (std::int64_t file = 0; file < 2; ++file) {
            BlockFileWriter writer(scratch.path(), file, {{"made", "by a test"}}, GetParam());
            for (std::int64_t number = 3 * file; number < 3 * file + 3; ++number)
                writer.add(number, blocks[number]);
            for (BlockEntry& entry : writer.commit()) manifest.blocks.push_back(std::move(entry));
        }
        write_manifest(scratch.path(), manifest);
    }
    std::string failure() const {
        try {
            const MatrixReader reader(scratch.path());
            BlockStream stream(reader, {0, 1, 2, 3, 4, 5});
            while (stream.next()) continue;
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    }
    ScratchDirectory scratch;
    std::vector<CsrBlock> blocks;
};
INSTANTIATE_TEST_SUITE_P(Deflate, MatrixDirectory, testing::Values(0, 3));

TEST_P(MatrixDirectory, ComesBackAsItWasWritten) {
    const MatrixReader reader(scratch.path());
    EXPECT_EQ(reader.manifest().frobenius_squared.value(), 7.5);
    BlockStream stream(reader, {5, 0, 3});
    for (const std::int64_t number : {5, 0, 3}) {
        const std::optional<CsrBlock> block = stream.next();
        ASSERT_TRUE(block.has_value());
        EXPECT_EQ(block->indices, blocks[number].indices);
        EXPECT_EQ(block->data, blocks[number].data);
        EXPECT_EQ(block->weight, blocks[number].weight);
    }
    EXPECT_FALSE(stream.next().has_value());
}

TEST_P(MatrixDirectory, SharesCoverEveryBlockOnceAndEvenly) {
    const MatrixReader reader(scratch.path());
    for (const int parts : {1, 2, 3, 4, 6, 7}) {
        std::vector<int> seen(6);
        for (int part = 0; part < parts; ++part)
            for (const std::int64_t number : reader.share(part, parts)) ++seen[number];
        EXPECT_EQ(seen, std::vector<int>(6, 1)) << parts << " parts";
    }
    const auto load = [&](int part) {
        std::int64_t sum = 0;
        for (const std::int64_t number : reader.share(part, 2)) sum += blocks[number].nonzeros();
        return sum;
    };
    EXPECT_LE(std::abs(load(0) - load(1)), 2);
}

TEST_P(MatrixDirectory, WeightsRowsBothWays) {
    const MatrixReader reader(scratch.path());
    EXPECT_EQ(reader.row_factor(blocks[2], 1, RowWeight::uniform), 2);
    EXPECT_EQ(reader.row_factor(blocks[2], 1, RowWeight::count), 0.2);
    EXPECT_EQ(reader.one_hot_diagonal(RowWeight::uniform), std::vector<double>(10, 3));
    EXPECT_EQ(reader.one_hot_diagonal(RowWeight::count), std::vector<double>(10, 0.05));
}

TEST_P(MatrixDirectory, NoticesDamageAnywhere) {
    EXPECT_EQ(failure(), "");
    const auto path = scratch / "blocks-00001.h5";
    const std::string good = io::read_file(path);
    int noticed = 0, tried = 0;
    for (std::size_t at = 0; at < good.size(); at += 97) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        io::write_file(path, bad);
        ++tried;
        const std::string text = failure();
        if (!text.empty()) {
            ++noticed;
            EXPECT_NE(text.find("blocks-00001.h5"), std::string::npos) << text;
            continue;
        }
        // What was not noticed changed nothing that is read: the blocks came back with their digests.
    }
    EXPECT_GT(noticed, 0) << "of " << tried;
    io::write_file(path, good.substr(0, good.size() / 2));
    EXPECT_NE(failure().find("blocks-00001.h5"), std::string::npos);
    std::filesystem::remove(path);
    EXPECT_NE(failure().find("blocks-00001.h5"), std::string::npos);
}

TEST_P(MatrixDirectory, RefusesAnUnfinishedOrForeignDirectory) {
    std::filesystem::remove(scratch / "manifest.json");
    EXPECT_NE(failure().find("no finished matrix"), std::string::npos);
    io::write_file(scratch / "manifest.json", "{\"format\": \"eckart-matrix\"");
    EXPECT_NE(failure().find("not valid JSON"), std::string::npos);
    io::write_file(scratch / "manifest.json", "{\"format\": \"other\"}");
    EXPECT_NE(failure().find("manifest.json"), std::string::npos);
}

TEST(WellFormed, EveryRuleIsChecked) {
    CsrBlock good;
    good.columns = 5;
    good.append_row(std::vector<std::int32_t>{0, 4}, std::vector<std::uint64_t>{1, 2}, 1, 3);
    EXPECT_NO_THROW(require_well_formed(good, "block"));
    const auto broken = [&](auto change) {
        CsrBlock block = good;
        change(block);
        EXPECT_THROW(require_well_formed(block, "block"), Error);
    };
    broken([](CsrBlock& b) { b.indices[1] = 5; });
    broken([](CsrBlock& b) { b.indices[0] = -1; });
    broken([](CsrBlock& b) { b.indices[0] = 4; });
    broken([](CsrBlock& b) { b.data[0] = 0; });
    broken([](CsrBlock& b) { b.multiplicity[0] = 0; });
    broken([](CsrBlock& b) { b.weight[0] = -3; });
    broken([](CsrBlock& b) { b.indptr[1] = 1; });
    broken([](CsrBlock& b) { b.indptr[0] = 1; });
    broken([](CsrBlock& b) { b.data.push_back(1); });
    broken(
        [](CsrBlock& b) { b.append_row(std::vector<std::int32_t>{2}, std::vector<std::uint64_t>{1}, 1, 1); });
}

}  // namespace
}  // namespace eckart::matrix
