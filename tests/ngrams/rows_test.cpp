#include "eckart/base/error.hpp"
#include "eckart/ngrams/row_buckets.hpp"
#include "eckart/ngrams/row_collector.hpp"
#include "eckart/ngrams/row_merger.hpp"

#include <filesystem>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

namespace eckart::ngrams {
namespace {

using Content = std::pair<std::vector<std::uint32_t>, std::vector<std::uint64_t>>;
using Sums = std::pair<std::uint64_t, std::uint64_t>;

std::pair<Content, Sums> plain(const RowView& row) {
    Content content{{row.successors().begin(), row.successors().end()}, {}};
    for (std::size_t i = 0; i < row.size; ++i) content.second.push_back(row.count(i));
    return {content, {row.multiplicity, row.weight}};
}

Content random_row(std::mt19937_64& random) {
    Content row;
    std::uint32_t token = 0;
    const std::size_t size = 2 + random() % 4;
    for (std::size_t i = 0; i < size; ++i) {
        row.first.push_back(token += 1 + static_cast<std::uint32_t>(random() % 3));
        row.second.push_back(1 + random() % 2 + (random() % 50 == 0 ? std::uint64_t{1} << 40 : 0));
    }
    row.second[0] = 1;  // so the greatest common divisor is 1
    return row;
}

TEST(Rows, MergeAndSortAsAMapDoes) {
    std::mt19937_64 random(1);
    std::vector<std::uint32_t> words;
    std::map<Content, Sums> expected;
    for (int i = 0; i < 20000; ++i) {
        const Content row = random_row(random);
        const std::uint64_t multiplicity = 1 + random() % 5, weight = random() >> (random() % 2 ? 50 : 20);
        append_row(words, multiplicity, weight, row.first, row.second);
        expected[row].first += multiplicity;
        expected[row].second += weight;
    }
    RowMerger merger(words);
    merger.sort();
    std::vector<std::pair<Content, Sums>> found;
    for (const RowView& row : merger.rows()) found.push_back(plain(row));
    EXPECT_EQ(found, (std::vector<std::pair<Content, Sums>>(expected.begin(), expected.end())));
    const auto again = merged(merged(words));
    EXPECT_EQ(RowMerger(again).rows().size(), expected.size());
}

TEST(Rows, AreRefusedWhenCutOff) {
    std::vector<std::uint32_t> words;
    append_row(words, 1, 3, std::vector<std::uint32_t>{1, 2}, std::vector<std::uint64_t>{1, 2});
    words.pop_back();
    EXPECT_THROW(RowReader(words).next(), Error);
}

TEST(Rows, AreTheSameThroughMemoryAndThroughTheScratchFile) {
    const auto path = std::filesystem::temp_directory_path() / fmt::format("eckart-rows-{}", ::getpid());
    std::map<Content, Sums> found[2];
    for (const int small : {0, 1}) {
        std::mt19937_64 random(2);
        RowBuckets buckets(8, small ? 10000 : 100000000, path);
        RowCollector collector(100, buckets);
        for (int i = 0; i < 20000; ++i) {
            Content row = random_row(random);
            const std::uint64_t factor = 1 + random() % 3;
            for (auto& count : row.second) count *= factor;  // merged once divided
            collector.row(row.first, row.second);
        }
        EXPECT_EQ(collector.rows(), 20000);
        EXPECT_EQ(buckets.spilled_bytes() > 0, small == 1);
        for (std::int64_t bucket = 0; bucket < buckets.count(); ++bucket) {
            const auto words = buckets.take(bucket);
            const RowMerger merger(words);
            for (const RowView& row : merger.rows()) found[small].insert(plain(row));
            EXPECT_TRUE(buckets.take(bucket).empty());
        }
    }
    EXPECT_EQ(found[0], found[1]);
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace eckart::ngrams
