#include "eckart/base/error.hpp"
#include "eckart/ngrams/context_scanner.hpp"
#include "eckart/ngrams/packing.hpp"
#include "eckart/ngrams/run_codec.hpp"
#include "eckart/ngrams/sort.hpp"
#include "eckart/ngrams/spread_sorter.hpp"
#include "eckart/ngrams/tally.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

namespace eckart::ngrams {
namespace {

namespace fs = std::filesystem;

template <typename Word>
Word random_word(std::mt19937_64& random) {
    Word word{0};
    for (int i = 0; i < (word_bits<Word> + 31) / 32; ++i)
        word = (word << 32) | Word{static_cast<std::uint32_t>(random())};
    return word;
}

class Folder {
public:
    Folder() : path_(fs::temp_directory_path() / fmt::format("eckart-records-{}", ::getpid())) {
        fs::create_directories(path_);
    }
    ~Folder() { fs::remove_all(path_); }
    fs::path operator/(const char* name) const { return path_ / name; }

private:
    fs::path path_;
};

template <typename Word>
class Records : public testing::Test {};
using Words = testing::Types<std::uint64_t, Word96, Word112, Wide, Word192>;
TYPED_TEST_SUITE(Records, Words);

TEST(Bijection, UndoesItselfAtEveryWidth) {
    std::mt19937_64 random(1);
    for (int bits = 16; bits <= 64; ++bits) {
        const Bijection bijection(bits);
        for (int i = 0; i < 1000; ++i) {
            const std::uint64_t x = random() & low_bits<std::uint64_t>(bits);
            EXPECT_LE(bijection.forward(x), low_bits<std::uint64_t>(bits));
            EXPECT_EQ(bijection.backward(bijection.forward(x)), x);
        }
    }
}

TEST(Bijection, SpreadsConsecutiveContextsOverPartitions) {
    const Packing<std::uint64_t> packing(5, 50000);
    std::vector<int> load(256);
    constexpr int contexts = 256 * 1000;
    for (std::uint64_t x = 0; x < contexts; ++x) ++load[packing.partition(packing.key(x)) >> 8];
    EXPECT_LT(*std::max_element(load.begin(), load.end()), 1200);
    EXPECT_GT(*std::min_element(load.begin(), load.end()), 800);
}

TYPED_TEST(Records, HoldWhatTheWordAndThePartitionHold) {
    using P = Packing<TypeParam>;
    for (int order = least_order; order <= greatest_order; ++order)
        for (const std::int64_t vocabulary : {10, 32000, 65536, 65537, 200000, 1 << 20, 1 << 21})
            if (!P::holds(order, vocabulary)) {
                EXPECT_THROW(P(order, vocabulary), Error);
            }
    EXPECT_TRUE(Packing<std::uint64_t>::holds(5, 65536));
    EXPECT_FALSE(Packing<std::uint64_t>::holds(5, 65537));
    EXPECT_TRUE(Packing<Word96>::holds(5, greatest_vocabulary));
    EXPECT_TRUE(Packing<Word112>::holds(8, 1 << 16));
    EXPECT_TRUE(Packing<Wide>::holds(8, 1 << 18));
    EXPECT_TRUE(Packing<Word192>::holds(greatest_order, greatest_vocabulary));
}

TYPED_TEST(Records, GiveContextAndSuccessorBack) {
    std::mt19937_64 random(2);
    for (int order = least_order; order <= greatest_order; ++order)
        for (const std::int64_t vocabulary : {10, 32000, 65536, 65537, 200000, 1 << 20, 1 << 21}) {
            if (!Packing<TypeParam>::holds(order, vocabulary)) continue;
            const Packing<TypeParam> packing(order, vocabulary);
            for (int i = 0; i < 50; ++i) {
                std::vector<std::uint32_t> tokens(static_cast<std::size_t>(order));
                for (auto& token : tokens)
                    token = static_cast<std::uint32_t>(random() % static_cast<std::uint64_t>(vocabulary));
                TypeParam context = random_word<TypeParam>(random);
                for (const auto token : std::span(tokens).first(tokens.size() - 1))
                    context = packing.push(context, token);
                const TypeParam key = packing.key(context);
                EXPECT_EQ(packing.context(key), context);
                const TypeParam record = packing.record(key, tokens.back());
                EXPECT_EQ(packing.successor(record), tokens.back());
                tokens.pop_back();
                EXPECT_EQ(packing.context_tokens(packing.partition(key), record), tokens);
            }
        }
}

TYPED_TEST(Records, SortAtEverySize) {
    std::mt19937_64 random(3);
    const WordSorter sort;
    SpreadSorter<TypeParam> spread;
    for (const std::size_t size : {0, 1, 2, 24, 25, 39, 40, 41, 100, 1000, 30000, 70000})
        for (const bool crowded : {false, true}) {
            std::vector<TypeParam> words(size);
            for (auto& word : words) {
                word = random_word<TypeParam>(random);
                if (crowded && random() % 2) word = word & low_bits<TypeParam>(20);
            }
            auto expected = words, spread_words = words;
            std::sort(expected.begin(), expected.end());
            sort(std::span(words));
            EXPECT_EQ(words, expected) << size;
            spread(std::span(spread_words));
            EXPECT_EQ(spread_words, expected) << size;
        }
}

template <typename Word>
void add(Tally<Word>& tally, const Word& word, std::uint64_t count) {
    const Extra<Word> extra{word, count - 1};
    tally.add(std::as_bytes(std::span(&word, 1)),
              std::as_bytes(std::span(&extra, 1).first(count > 1 ? 1 : 0)));
}

TYPED_TEST(Records, CombineWithinFixedMemory) {
    std::mt19937_64 random(4);
    SpreadSorter<TypeParam> sort;
    std::vector<TypeParam> memory(100);
    Tally<TypeParam> tally(sort, memory);
    std::map<TypeParam, std::uint64_t> expected;
    for (int i = 0; i < 5000; ++i) {
        const TypeParam word{random() % 50};
        const std::uint64_t count = random() % 3 == 0 ? 1 + random() % 1000 : 1;
        add(tally, word, count);
        expected[word] += count;
    }
    std::map<TypeParam, std::uint64_t> found;
    for_each_record(tally.sorted(), [&](const TypeParam& word, std::uint64_t count) { found[word] = count; });
    EXPECT_EQ(found, expected);
    tally.clear();
    const auto overfill = [&] {
        for (std::uint64_t i = 0; i < 200; ++i) add(tally, TypeParam{i}, 1);
    };
    EXPECT_THROW(overfill(), Error);
}

TYPED_TEST(Records, ComeBackFromARunAsTheyWere) {
    std::mt19937_64 random(5);
    SpreadSorter<TypeParam> sort;
    const Folder folder;
    SpillFile file(folder / "run");
    std::vector<Segment> segments;
    std::map<std::int64_t, std::vector<TypeParam>> partitions;
    RunWriter<TypeParam> writer(file, 0, segments);
    for (const std::int64_t partition : {3, 4, 9, 65535}) {
        auto& words = partitions[partition];
        words.resize(partition == 4 ? 60000 : 50);  // the second is cut into several segments
        for (auto& word : words) word = random_word<TypeParam>(random);
        words.resize(words.size() + 7, words.front());  // and some are there more than once
        words.resize(words.size() + 1, words[1]);
        sort(std::span(words));
        writer.add(partition, {words, {}});
    }
    writer.close();
    file.flush();
    EXPECT_GT(segments.size(), 2U);
    RunReader<TypeParam> reader(file, segments);
    std::vector<TypeParam> memory(100000);
    Tally<TypeParam> tally(sort, memory);
    for (const auto& [partition, words] : partitions) {
        ASSERT_EQ(reader.partition(), partition);
        tally.clear();
        reader.take(tally);
        std::vector<TypeParam> found;
        for_each_record(tally.sorted(), [&](const TypeParam& word, std::uint64_t count) {
            found.insert(found.end(), count, word);
        });
        EXPECT_EQ(found, words);
    }
    EXPECT_EQ(reader.partition(), -1);
}

TEST(SpillFile, FindsEveryFlippedBitAndALostEnd) {
    const Folder folder;
    SpillFile file(folder / "spill");
    std::vector<std::byte> bytes(100, std::byte{7});
    const Segment first = file.append(bytes), second = file.append(bytes);
    file.sync();
    EXPECT_EQ(file.read(second), bytes);
    const auto flip = [&](std::int64_t at) {
        std::fstream stream(file.path(), std::ios::in | std::ios::out | std::ios::binary);
        stream.seekg(at);
        const int byte = stream.get();
        stream.seekp(at);
        stream.put(static_cast<char>(byte ^ 0x10));
    };
    flip(second.offset + 99);
    EXPECT_EQ(file.read(first), bytes);
    EXPECT_THROW(file.read(second), Error);
    flip(second.offset + 99);
    EXPECT_EQ(file.read(second), bytes);
    fs::resize_file(file.path(), 150);
    EXPECT_THROW(file.read(second), Error);
}

TEST(SpillFile, NamesThePathWhenItCannotWrite) {
    SpillFile file("/nowhere/spill");
    file.append(std::vector<std::byte>(10));
    try {
        file.flush();
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("/nowhere/spill"), std::string::npos);
    }
    SpillFile full("/dev/full");
    full.append(std::vector<std::byte>(10));
    try {
        full.flush();
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos);
    }
}

TEST(SpillFile, ContinuesWhereTheCheckpointWas) {
    const Folder folder;
    const std::vector<std::byte> bytes(100, std::byte{1});
    Segment kept;
    {
        SpillFile file(folder / "spill");
        kept = file.append(bytes);
        file.append(bytes);
        file.sync();
    }
    SpillFile file(folder / "spill");
    file.resume(100);
    EXPECT_EQ(file.append(std::vector<std::byte>(50, std::byte{2})).offset, 100);
    file.sync();
    EXPECT_EQ(fs::file_size(file.path()), 150U);
    EXPECT_EQ(file.read(kept), bytes);
    SpillFile beyond(folder / "spill");
    EXPECT_THROW(beyond.resume(1000), Error);
}

}  // namespace
}  // namespace eckart::ngrams
