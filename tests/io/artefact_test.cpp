#include "eckart/io/artefact.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/recipe.hpp"
#include "scratch_directory.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace eckart::io {
namespace {

TEST(PendingFile, AppearsOnlyByCommit) {
    const ScratchDirectory scratch;
    const auto path = scratch / "file";
    {
        PendingFile pending(path);
        std::ofstream(pending.partial()) << "half";
        EXPECT_FALSE(std::filesystem::exists(path));
    }
    EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
    PendingFile pending(path);
    std::ofstream(pending.partial()) << "whole";
    pending.commit();
    EXPECT_EQ(read_file(path), "whole");
    EXPECT_FALSE(std::filesystem::exists(pending.partial()));
}

TEST(WriteFile, ReplacesWholeAndNamesFailures) {
    const ScratchDirectory scratch;
    write_file(scratch / "f", "one");
    write_file(scratch / "f", "two");
    EXPECT_EQ(read_file(scratch / "f"), "two");
    EXPECT_THROW(write_file(scratch / "no" / "f", "x"), Error);
    EXPECT_THROW(read_file(scratch / "missing"), Error);
    EXPECT_THROW(read_file(scratch.path()), Error);
    EXPECT_THROW(make_directory(scratch / "f"), Error);
    if (std::filesystem::exists("/dev/full")) {
        try {
            std::filesystem::create_symlink("/dev/full", scratch / "full.partial");
            write_file(scratch / "full", "text");
            FAIL() << "a full disk must be noticed";
        } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find("No space left on device"), std::string::npos)
                << error.what();
        }
    }
}

TEST(Recipe, TellsWhatDiffers) {
    const Recipe a = {{"order", 4}, {"tokenizer", {{"kind", "words"}, {"vocabulary", 100}}}};
    Recipe b = a;
    EXPECT_EQ(differences(a, b), "");
    b["order"] = 5;
    b["tokenizer"].erase("vocabulary");
    b["weight"] = "count";
    EXPECT_EQ(differences(a, b),
              "order 4 -> 5, tokenizer.vocabulary 100 -> (none), weight (none) -> \"count\"");
}

TEST(InputDigest, FollowsTheContent) {
    const ScratchDirectory scratch;
    write_file(scratch / "a", "some text");
    write_file(scratch / "b", "some text");
    write_file(scratch / "c", "some texts");
    EXPECT_EQ(input_digest(scratch / "a"), input_digest(scratch / "b"));
    EXPECT_NE(input_digest(scratch / "a"), input_digest(scratch / "c"));
    EXPECT_THROW(input_digest(scratch / "d"), Error);
}

}  // namespace
}  // namespace eckart::io
