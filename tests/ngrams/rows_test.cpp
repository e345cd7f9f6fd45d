#include "eckart/base/error.hpp"
#include "eckart/ngrams/row_buckets.hpp"
#include "eckart/ngrams/row_collector.hpp"
#include "eckart/ngrams/row_merger.hpp"

#include <array>
#include <filesystem>
#include <map>
#include <numeric>
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
        const std::uint64_t large = std::uint64_t{1} << std::array{9, 10, 15, 16, 31, 40}[random() % 6];
        row.second.push_back(1 + random() % 2 + (random() % 50 == 0 ? large - random() % 2 : 0));
    }
    row.second[random() % size] = 1;  // so the greatest common divisor is 1
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
    const std::vector<std::pair<Content, Sums>> wanted(expected.begin(), expected.end());
    RowMerger merger;
    for (const int times : {1, 2}) {  // what is merged already stays as it is
        std::vector<std::pair<Content, Sums>> found;
        std::vector<std::uint32_t> merged;
        merger.merge(words, [&](const RowView& row) {
            found.push_back(plain(row));
            append_row(merged, row);
        });
        EXPECT_EQ(found, wanted) << times;
        words = merged;
    }
}

TEST(Rows, LargerThanTheMemoryGoToTheScratchFile) {
    const auto path = std::filesystem::temp_directory_path() / fmt::format("eckart-rows-{}", ::getpid());
    RowBuckets buckets(8, 50000, path);
    std::vector<std::uint32_t> successors(30000);
    std::iota(successors.begin(), successors.end(), 0);
    std::vector<std::uint64_t> counts(successors.size(), 1);
    for (int i = 0; i < 2; ++i) {
        counts[7] = 1 + static_cast<std::uint64_t>(i);
        buckets.add(40000, successors, counts);
        buckets.add(3, std::vector<std::uint32_t>{1, 2}, std::vector<std::uint64_t>{1, 2});
    }
    std::vector<std::size_t> sizes;
    for (std::int64_t bucket = 0; bucket < buckets.count(); ++bucket) {
        std::vector<std::uint32_t> words;
        buckets.take(bucket, words);
        RowMerger().merge(words, [&](const RowView& row) { sizes.push_back(row.size); });
    }
    std::sort(sizes.begin(), sizes.end());
    EXPECT_EQ(sizes, (std::vector<std::size_t>{2, 30000, 30000}));
    std::filesystem::remove(path);
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
        RowBuckets buckets(8, small ? 50000 : 100000000, path);
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
            std::vector<std::uint32_t> words;
            buckets.take(bucket, words);
            RowMerger().merge(words, [&](const RowView& row) { found[small].insert(plain(row)); });
            words.clear();
            buckets.take(bucket, words);
            EXPECT_TRUE(words.empty());
        }
    }
    EXPECT_EQ(found[0], found[1]);
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace eckart::ngrams
