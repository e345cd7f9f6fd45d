#include "eckart/base/error.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/ngrams/checkpoints.hpp"
#include "eckart/ngrams/counter.hpp"
#include "eckart/ngrams/packing.hpp"
#include "eckart/ngrams/row_merger.hpp"

#include <filesystem>
#include <map>
#include <numeric>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

namespace eckart::ngrams {
namespace {

namespace fs = std::filesystem;
using Documents = std::vector<std::vector<std::uint32_t>>;
using Rows = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;

constexpr std::int64_t small_memory = 24 << 20;

const mpi::Communicator& world() {
    static const mpi::Communicator comm = mpi::Communicator::world();
    return comm;
}

fs::path scratch() {
    const fs::path path = fs::temp_directory_path() / fmt::format("eckart-counter-{}", ::getpid());
    fs::create_directories(path);
    return path;
}

Documents random_documents(unsigned seed, int count, int length, std::uint32_t vocabulary) {
    std::mt19937_64 random(seed);
    Documents documents(static_cast<std::size_t>(count));
    for (auto& document : documents) {
        document.resize(random() % static_cast<std::uint64_t>(length));
        for (auto& token : document)
            token = static_cast<std::uint32_t>((random() % vocabulary) & (random() % vocabulary));
    }
    return documents;
}

std::string name_of(const std::vector<std::uint32_t>& successors, std::vector<std::uint64_t> counts) {
    const std::uint64_t divisor = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0},
                                                  std::gcd<std::uint64_t, std::uint64_t>);
    std::string text;
    for (std::size_t i = 0; i < counts.size(); ++i)
        text += fmt::format("{}:{} ", successors[i], counts[i] / divisor);
    return text;
}

Rows oracle(const Documents& documents, int order) {
    std::map<std::vector<std::uint32_t>, std::map<std::uint32_t, std::uint64_t>> contexts;
    for (const auto& document : documents)
        for (std::size_t i = 0; i + static_cast<std::size_t>(order) <= document.size(); ++i) {
            const auto begin = document.begin() + static_cast<std::ptrdiff_t>(i);
            ++contexts[{begin, begin + order - 1}][*(begin + order - 1)];
        }
    Rows rows;
    for (const auto& [context, successors] : contexts) {
        std::vector<std::uint32_t> tokens;
        std::vector<std::uint64_t> counts;
        std::int64_t total = 0;
        for (const auto& [token, count] : successors) {
            tokens.push_back(token);
            counts.push_back(count);
            total += static_cast<std::int64_t>(count);
        }
        auto& [multiplicity, weight] = rows[name_of(tokens, counts)];
        ++multiplicity;
        weight += total;
    }
    return rows;
}

/// The merged rows over all ranks, on every rank.
Rows collect(NgramCounter& counter, std::int64_t vocabulary, const SamplePlace& end = whole_corpus) {
    RowBuckets buckets(8, 1 << 20, scratch() / "rows");
    RowCollector collector(vocabulary, buckets);
    counter.for_each_context(collector, end);
    std::string text;
    for (std::uint32_t token = 0; token < vocabulary; ++token)
        if (collector.one_hot_multiplicity()[token] > 0)
            text += fmt::format("{}|{}|{}\n", name_of({token}, {1}), collector.one_hot_multiplicity()[token],
                                collector.one_hot_weight()[token]);
    for (std::int64_t bucket = 0; bucket < buckets.count(); ++bucket) {
        std::vector<std::uint32_t> words;
        buckets.take(bucket, words);
        for (RowReader reader(words); !reader.at_end();) {
            const RowView row = reader.next();
            std::vector<std::uint64_t> counts;
            for (std::size_t i = 0; i < row.size; ++i) counts.push_back(row.count(i));
            text +=
                fmt::format("{}|{}|{}\n", name_of({row.successors().begin(), row.successors().end()}, counts),
                            row.multiplicity, row.weight);
        }
    }
    Rows rows;
    for (const std::string& part : mpi::all_gather(world(), text)) {
        std::istringstream lines(part);
        for (std::string line; std::getline(lines, line);) {
            const auto bar = line.find('|'), second = line.find('|', bar + 1);
            auto& [multiplicity, weight] = rows[line.substr(0, bar)];
            multiplicity += std::stoll(line.substr(bar + 1));
            weight += std::stoll(line.substr(second + 1));
        }
    }
    return rows;
}

bool is_mine(std::size_t document) {
    return document % static_cast<std::size_t>(world().size()) == static_cast<std::size_t>(world().rank());
}

void add_all(NgramCounter& counter, const Documents& documents) {
    for (std::size_t i = 0; i < documents.size(); ++i)
        if (is_mine(i)) counter.add(documents[i]);
    counter.exchange();
}

struct Case {
    int order;
    std::uint32_t vocabulary;
};

TEST(Counter, AgreesWithADictionaryForEveryRecordWidth) {
    for (const auto& [order, vocabulary] : {Case{2, 300},
                                            {3, 40},
                                            {5, 12},
                                            {5, 65536},
                                            {4, 100000},
                                            {6, 9},
                                            {8, 6},
                                            {8, 1 << 18},
                                            {8, 1 << 21}}) {
        const Documents documents = random_documents(vocabulary, 200, 200, vocabulary);
        const auto counter = NgramCounter::make(
            world(),
            {.order = order, .vocabulary = vocabulary, .memory_bytes = small_memory, .scratch = scratch()});
        add_all(*counter, documents);
        EXPECT_EQ(collect(*counter, vocabulary), oracle(documents, order)) << order << " " << vocabulary;
    }
    fs::remove_all(scratch());
}

TEST(Counter, RecordsOf5GramsTakeAtMost16Bytes) {
    for (const std::int64_t vocabulary : {std::int64_t{1} << 16, std::int64_t{1} << 17, greatest_vocabulary})
        EXPECT_LE(
            NgramCounter::make(
                world(),
                {.order = 5, .vocabulary = vocabulary, .memory_bytes = small_memory, .scratch = scratch()})
                ->record_bytes(),
            16)
            << vocabulary;
    fs::remove_all(scratch());
}

TEST(Counter, SpillsAndAggregatesWithinItsMemory) {
    // Half a million 3-grams of nine bytes each do not fit a rank; half of them are one and the same.
    Documents documents = random_documents(7, 1200, 700, 5000);
    documents.emplace_back(400000, 4);
    const auto counter = NgramCounter::make(
        world(), {.order = 3, .vocabulary = 5000, .memory_bytes = 5 << 20, .scratch = scratch()});
    add_all(*counter, documents);
    EXPECT_TRUE(mpi::any(world(), counter->has_spilled()) || world().size() > 2);
    EXPECT_EQ(collect(*counter, 5000), oracle(documents, 3));
    fs::remove_all(scratch());
}

TEST(Counter, TakesTwentyTimesItsMemoryInAnyNumberOfPasses) {
    // One document again and again: what it holds is known, and runs have much to combine.
    constexpr std::int64_t memory = 5 << 20, record_bytes = 9, length = 100000;
    constexpr int times = static_cast<int>(20 * memory / record_bytes / length);
    std::vector<std::uint32_t> document(length);
    std::mt19937_64 random(11);
    for (auto& token : document) token = static_cast<std::uint32_t>((random() % 5000) & (random() % 5000));
    Rows expected = oracle({document}, 3);
    for (auto& [name, sums] : expected) sums.second *= times;
    std::map<std::size_t, std::int64_t> spilled;
    for (const std::size_t width : {std::size_t{2}, std::size_t{3}, most_runs}) {
        const auto counter = NgramCounter::make(world(), {.order = 3,
                                                          .vocabulary = 5000,
                                                          .memory_bytes = memory,
                                                          .scratch = scratch(),
                                                          .merge_width = width});
        for (int i = 0; i < times; ++i) {
            if (is_mine(static_cast<std::size_t>(i))) counter->add(document);
            if (i % (10 * world().size()) == 0) counter->exchange();
        }
        counter->exchange();
        EXPECT_EQ(collect(*counter, 5000), expected) << width;
        EXPECT_EQ(collect(*counter, 5000), expected) << width << ", again";
        spilled[width] = mpi::all_sum(world(), counter->statistics().spilled_records);
    }
    EXPECT_GT(spilled[most_runs], length);
    if (world().size() == 1) {  // more ranks have fewer runs each
        EXPECT_GT(spilled[2], spilled[3]);
        EXPECT_GT(spilled[3], spilled[most_runs]);
    }
    fs::remove_all(scratch());
}

TEST(Counter, ContinuesFromACheckpoint) {
    const Documents documents = random_documents(8, 2000, 300, 50);
    const Documents first(documents.begin(), documents.begin() + 1000),
        rest(documents.begin() + 1000, documents.end());
    const CounterOptions options{
        .order = 4, .vocabulary = 50, .memory_bytes = small_memory, .scratch = scratch()};
    nlohmann::json state;
    {
        const auto counter = NgramCounter::make(world(), options);
        add_all(*counter, first);
        state = counter->checkpoint();
        add_all(*counter, rest);  // lost with the process
        counter->checkpoint();
    }
    const auto counter = NgramCounter::make(world(), options);
    counter->resume(state);
    add_all(*counter, rest);
    EXPECT_EQ(collect(*counter, 50), oracle(documents, 4));
    fs::remove_all(scratch());
}

TEST(Counter, SamplesAreExactAndNested) {
    const std::int64_t rounds = mpi::round_bytes();
    mpi::set_round_bytes(1000);  // so that what crosses ranks goes in many rounds
    const Documents documents = random_documents(9, 500, 300, 60);
    const auto counter = NgramCounter::make(
        world(), {.order = 4, .vocabulary = 60, .memory_bytes = small_memory, .scratch = scratch()});
    add_all(*counter, documents);
    const auto contexts = [](const Rows& rows) {
        std::int64_t sum = 0;
        for (const auto& [name, sums] : rows) sum += sums.first;
        return sum;
    };
    const std::int64_t all = contexts(collect(*counter, 60));
    SamplePlace previous;
    for (const std::int64_t wanted : {std::int64_t{1}, std::int64_t{10}, std::int64_t{1000}, all - 1}) {
        const SamplePlace end = counter->sample_end(wanted);
        EXPECT_EQ(contexts(collect(*counter, 60, end)), wanted);
        EXPECT_GT(end, previous);
        previous = end;
    }
    EXPECT_EQ(counter->sample_end(all), whole_corpus);
    EXPECT_EQ(counter->sample_end(all + 5), whole_corpus);
    mpi::set_round_bytes(rounds);
    fs::remove_all(scratch());
}

TEST(Counter, RefusesWhatItCannotHold) {
    EXPECT_THROW(NgramCounter::make(world(), {.order = 9, .vocabulary = 10, .memory_bytes = small_memory}),
                 Error);
    EXPECT_THROW(
        NgramCounter::make(world(), {.order = 5, .vocabulary = (1 << 21) + 1, .memory_bytes = small_memory}),
        Error);
    EXPECT_THROW(NgramCounter::make(world(), {.order = 5, .vocabulary = 10, .memory_bytes = 1 << 20}), Error);
}

TEST(Checkpoints, NameAWholeGenerationOrNone) {
    const fs::path root =
        fs::temp_directory_path() /
        fmt::format("eckart-checkpoints-{}", mpi::broadcast(world(), static_cast<std::int64_t>(::getpid())));
    const fs::path mine = root / std::to_string(world().rank());
    const auto open = [&](const nlohmann::json& key) {
        return Checkpoints(world(), root / "journal.json", mine, key);
    };
    {
        Checkpoints checkpoints = open("a");
        EXPECT_FALSE(checkpoints.load());
        checkpoints.save({{"rank", world().rank()}, {"step", 1}});
        checkpoints.save({{"rank", world().rank()}, {"step", 2}});
    }
    {
        Checkpoints checkpoints = open("a");
        const auto state = checkpoints.load();
        ASSERT_TRUE(state);
        EXPECT_EQ(*state, (nlohmann::json{{"rank", world().rank()}, {"step", 2}}));
    }
    world().barrier();
    if (world().is_root()) fs::remove(mine / "checkpoint-2");
    {
        Checkpoints checkpoints = open("a");
        EXPECT_FALSE(checkpoints.load()) << "one rank's state is gone";
        checkpoints.save({});
        checkpoints.clear();
    }
    {
        Checkpoints checkpoints = open("a");
        EXPECT_FALSE(checkpoints.load());
        checkpoints.save({{"step", 3}});
    }
    {
        Checkpoints checkpoints = open("b");
        EXPECT_FALSE(checkpoints.load()) << "made for something else";
    }
    world().barrier();
    EXPECT_FALSE(fs::exists(mine));
    if (world().is_root()) fs::remove_all(root);
}

}  // namespace
}  // namespace eckart::ngrams
