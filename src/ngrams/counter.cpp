#include "eckart/ngrams/counter.hpp"

#include "eckart/base/memory_plan.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/mpi/mailbox.hpp"
#include "eckart/ngrams/context_scanner.hpp"
#include "eckart/ngrams/packing.hpp"
#include "eckart/ngrams/partition_sorter.hpp"
#include "eckart/ngrams/run_codec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <deque>

namespace eckart::ngrams {

namespace {

/// Buckets are ranges of partitions, so many that every rank owns about equally many: at least 32 a rank.
int bucket_bits_for(int ranks) {
    return std::clamp(static_cast<int>(std::bit_width(static_cast<unsigned>(ranks - 1))) + 5, 8,
                      partition_bits);
}

/// A page for each bucket is open at a time; they may take an eighth of the pool.
std::int64_t page_bytes_for(std::int64_t pool_bytes, int bucket_bits) {
    constexpr std::int64_t least = 1 << 12, most = 1 << 16;
    const auto share = static_cast<std::uint64_t>(std::max(least, (pool_bytes / 8) >> bucket_bits));
    return std::min(most, static_cast<std::int64_t>(std::bit_floor(share)));
}

template <typename Word>
class Counter final : public NgramCounter {
public:
    Counter(const mpi::Communicator& comm, const CounterOptions& options)
        : comm_(comm),
          ranks_(comm.size()),
          rank_(comm.rank()),
          packing_(options.order, options.vocabulary),
          scanner_(packing_, options.min_count),
          bucket_bits_(bucket_bits_for(ranks_)),
          sub_bits_(partition_bits - bucket_bits_),
          merge_width_(std::max<std::size_t>(2, options.merge_width)),
          pool_(options.memory_bytes - grouping_bytes(options),
                page_bytes_for(options.memory_bytes - grouping_bytes(options), bucket_bits_)),
          grouping_(grouping_bytes(options) / static_cast<std::int64_t>(sizeof(Word))),
          cursors_(std::size_t{1} << bucket_bits_),
          pages_(cursors_.size()),
          segments_(cursors_.size()),
          spill_(options.scratch / "ngrams.spill"),
          mailbox_(comm) {
        const auto buckets = static_cast<std::int64_t>(cursors_.size());
        first_own_ = (rank_ * buckets + ranks_ - 1) / ranks_;
        end_own_ = ((rank_ + 1) * buckets + ranks_ - 1) / ranks_;
        require(pool_.page_count() >= 4 * buckets,
                "{} of memory is too little to count on {} ranks: give more --memory",
                format_bytes(static_cast<double>(options.memory_bytes)), ranks_);
        if (ranks_ > 1) landing_.push_back(pool_.take());
    }

    void add(std::span<const std::uint32_t> tokens) override {
        const auto lead = static_cast<std::size_t>(packing_.order() - 1);
        if (tokens.size() <= lead) return;
        // A copy that the stores below cannot alias stays in registers.
        const Packing<Word> packing = packing_;
        Word context{0};
        for (const std::uint32_t token : tokens.first(lead)) context = packing.push(context, token);
        constexpr std::size_t batch = 256;
        std::array<Word, batch> keys;
        for (std::size_t at = lead; at < tokens.size(); at += batch) {
            const auto successors = tokens.subspan(at, std::min(batch, tokens.size() - at));
            for (std::size_t i = 0; i < successors.size(); ++i) {
                keys[i] = packing.key(context);
                context = packing.push(context, successors[i]);
            }
            for (std::size_t i = 0; i < successors.size(); ++i) {
                const std::uint32_t partition = packing.partition(keys[i]);
                put(partition >> sub_bits_, packing.record(keys[i], successors[i]),
                    static_cast<std::uint8_t>(partition & ((1U << sub_bits_) - 1)));
            }
        }
        statistics_.records += static_cast<std::int64_t>(tokens.size() - lead);
        // Documents may be sentences: to ask MPI at each of them would take as long as counting them.
        constexpr std::size_t seldom = std::size_t{1} << 14;
        unasked_ += tokens.size();
        if (ranks_ > 1 && unasked_ >= seldom) {
            unasked_ = 0;
            receive();
        }
    }

    void exchange() override {
        for (std::int64_t bucket = 0; bucket < static_cast<std::int64_t>(cursors_.size()); ++bucket)
            if (!is_own(bucket)) close_page(bucket);
        for (int other = 0; other < ranks_; ++other)
            if (other != rank_) mailbox_.send(other, {}, no_page);
        while (mailbox_.in_flight() > 0 || ended_ < ranks_ - 1) {
            reclaim();
            receive();
        }
        ended_ = 0;
        // No rank goes on, and sends into the next exchange, before all have received this one.
        comm_.barrier();
    }

    bool has_spilled() const override { return has_spilled_; }

    nlohmann::json checkpoint() override {
        spill();
        spill_.sync();
        has_spilled_ = false;
        nlohmann::json state = {
            {"spill_bytes", spill_.size()},         {"runs", runs_},
            {"records", statistics_.records},       {"received", statistics_.received},
            {"sent_bytes", statistics_.sent_bytes}, {"spilled_records", statistics_.spilled_records},
            {"segments", nlohmann::json::array()}};
        for (const auto& bucket : segments_)
            for (const Segment& s : bucket)
                state["segments"].push_back(
                    {s.run, s.first_partition, s.last_partition, s.offset, s.bytes, s.digest});
        return state;
    }

    void resume(const nlohmann::json& state) override {
        spill_.resume(state.at("spill_bytes"));
        runs_ = state.at("runs");
        statistics_ = {.records = state.at("records"),
                       .received = state.at("received"),
                       .sent_bytes = state.at("sent_bytes"),
                       .spilled_bytes = 0,
                       .spilled_records = state.at("spilled_records")};
        for (const auto& s : state.at("segments")) {
            const Segment segment{.run = s.at(0),
                                  .first_partition = s.at(1),
                                  .last_partition = s.at(2),
                                  .offset = s.at(3),
                                  .bytes = s.at(4),
                                  .digest = s.at(5)};
            segments_[static_cast<std::size_t>(segment.first_partition >> sub_bits_)].push_back(segment);
        }
    }

    SamplePlace sample_end(std::int64_t contexts) override {
        // In which of 2^16 stretches of hash values the wanted context lies, then which of that stretch it
        // is.
        Histogram histogram{packing_, std::vector<std::int64_t>(std::size_t{1} << partition_bits)};
        scan_all(whole_corpus, [&](std::int64_t) -> Histogram& { return histogram; });
        mpi::all_sum(comm_, std::span(histogram.counts));
        std::size_t stretch = 0;
        for (; stretch < histogram.counts.size() && contexts >= histogram.counts[stretch]; ++stretch)
            contexts -= histogram.counts[stretch];
        if (stretch == histogram.counts.size()) return whole_corpus;
        Places places{packing_, 0, stretch << stretch_shift, {}};
        const SamplePlace stretch_end{.hash = (stretch + 1) << stretch_shift, .partition = 0};
        scan_all(stretch_end, [&](std::int64_t partition) -> Places& {
            places.partition = partition;
            return places;
        });
        auto all = mpi::all_gather_all<SamplePlace>(comm_, places.found);
        std::sort(all.begin(), all.end());
        return all[static_cast<std::size_t>(contexts)];
    }

    void for_each_context(RowCollector& sink, const SamplePlace& end) override {
        scan_all(end, [&](std::int64_t) -> RowCollector& { return sink; });
    }

    void show_contexts(ContextVisitor& visitor, const SamplePlace& end) override {
        Shower shower{packing_, visitor, 0, {}};
        scan_all(end, [&](std::int64_t partition) -> Shower& {
            shower.partition = static_cast<std::uint32_t>(partition);
            return shower;
        });
    }

    void release() override {
        pool_.reset();
        scanner_.release();
        grouping_.release();
        statistics_.spilled_bytes = spill_.size();
        spill_.close();
    }

    CounterStatistics statistics() const override { return statistics_; }

    std::int64_t record_bytes() const override { return PagePool<Word>::record_bytes; }

private:
    static constexpr std::int64_t no_page = -1;
    static constexpr std::int64_t most_arriving = 32;  // pages

    /// A sixteenth of the memory, or up to half of it for a context that every token follows.
    static std::int64_t grouping_bytes(const CounterOptions& options) {
        const std::int64_t longest = options.vocabulary * 5 / 4 * static_cast<std::int64_t>(sizeof(Word));
        return std::max(options.memory_bytes / 16, std::min(options.memory_bytes / 2, longest));
    }

    static constexpr int stretch_shift = sample_bits - partition_bits;

    /// Counts contexts by the leading bits of their hash.
    struct Histogram {
        const Packing<Word>& packing;
        std::vector<std::int64_t> counts;
        void context(const Word& record) { ++counts[packing.sample_hash(record) >> stretch_shift]; }
        void one_hot(std::uint32_t, std::uint64_t) {}
        void row(std::span<const std::uint32_t>, std::span<const std::uint64_t>) {}
    };
    /// Reads contexts back and passes them on.
    struct Shower {
        const Packing<Word>& packing;
        ContextVisitor& visitor;
        std::uint32_t partition;
        std::vector<std::uint32_t> tokens;
        void context(const Word& record) { tokens = packing.context_tokens(partition, record); }
        void one_hot(std::uint32_t successor, std::uint64_t count) {
            visitor.visit(tokens, std::span(&successor, 1), std::span(&count, 1));
        }
        void row(std::span<const std::uint32_t> successors, std::span<const std::uint64_t> counts) {
            visitor.visit(tokens, successors, counts);
        }
    };
    /// Notes the places of contexts from a hash on.
    struct Places {
        const Packing<Word>& packing;
        std::int64_t partition;
        std::uint64_t from;
        std::vector<SamplePlace> found;
        void context(const Word& record) {
            const std::uint64_t hash = packing.sample_hash(record);
            if (hash >= from) found.push_back({hash, partition});
        }
        void one_hot(std::uint32_t, std::uint64_t) {}
        void row(std::span<const std::uint32_t>, std::span<const std::uint64_t>) {}
    };

    /// Where the next record of a bucket goes: a place in its open page.
    struct Cursor {
        Word* word = nullptr;
        std::uint8_t* partition = nullptr;
        std::int64_t left = 0;
        std::int64_t page = no_page;
    };

    int owner(std::int64_t bucket) const { return static_cast<int>((bucket * ranks_) >> bucket_bits_); }
    bool is_own(std::int64_t bucket) const { return bucket >= first_own_ && bucket < end_own_; }

    void put(std::uint32_t bucket, const Word& record, std::uint8_t partition) {
        Cursor& cursor = cursors_[bucket];
        if (cursor.left == 0) [[unlikely]]
            open_page(bucket);
        *cursor.word++ = record;
        *cursor.partition++ = partition;
        --cursor.left;
    }

    void open_page(std::int64_t bucket) {
        close_page(bucket);
        if (pool_.free_pages() == 0) make_room();
        Cursor& cursor = cursors_[static_cast<std::size_t>(bucket)];
        cursor.page = pool_.take();
        const auto page = pool_.page(cursor.page);
        page.header->bucket = static_cast<std::uint32_t>(bucket);
        cursor.word = page.words;
        cursor.partition = page.partitions;
        cursor.left = pool_.capacity();
    }

    /// Puts the open page of a bucket, full or not, where it belongs: to this rank's pages or on its way.
    void close_page(std::int64_t bucket) {
        Cursor& cursor = cursors_[static_cast<std::size_t>(bucket)];
        if (cursor.page == no_page) return;
        const std::int64_t number = std::exchange(cursor.page, no_page);
        const std::int64_t count = pool_.capacity() - std::exchange(cursor.left, 0);
        pool_.page(number).header->count = static_cast<std::uint32_t>(count);
        if (is_own(bucket))
            keep(number);
        else
            send(number, owner(bucket));
    }
    void keep(std::int64_t number) {
        const auto* header = pool_.page(number).header;
        pages_[header->bucket].push_back(number);
        statistics_.received += header->count;
    }

    /// Bytes of a page as a message; the partitions follow the words that are there.
    std::size_t message_bytes(std::int64_t count) const {
        return sizeof(typename PagePool<Word>::Header) + static_cast<std::size_t>(count * pool_.record_bytes);
    }
    void send(std::int64_t number, int target) {
        const auto page = pool_.page(number);
        const std::int64_t count = page.header->count;
        if (count < pool_.capacity())
            std::memmove(page.words + count, page.partitions, static_cast<std::size_t>(count));
        // Others may be slow to receive: what is under way may take a quarter of the pool.
        while (mailbox_.in_flight() > pool_.page_count() / 4) {
            reclaim();
            receive();
        }
        const auto bytes = pool_.bytes(number).first(message_bytes(count));
        statistics_.sent_bytes += static_cast<std::int64_t>(bytes.size());
        mailbox_.send(target, bytes, number);
        reclaim();
        receive();
    }
    void reclaim() {
        for (const std::int64_t number : mailbox_.sent())
            if (number != no_page) pool_.give(number);
    }
    /// Takes what has come, after accepting what is announced: one page more than is arriving is in hand.
    void receive() {
        while (true) {
            while (mailbox_.arriving() < most_arriving && mailbox_.accept(pool_.bytes(landing_.back()))) {
                if (pool_.free_pages() == 0) make_room();
                landing_.push_back(pool_.take());
            }
            const auto message = mailbox_.received();
            if (!message) return;
            const std::int64_t number = landing_.front();
            landing_.pop_front();
            if (message->bytes > 0) {
                land(number);
            } else {
                ++ended_;
                pool_.give(number);
            }
        }
    }
    /// Keeps a page that has come when it is well filled, else moves its records to the bucket's open page.
    void land(std::int64_t number) {
        const auto page = pool_.page(number);
        const std::int64_t count = page.header->count;
        const auto* partitions = reinterpret_cast<const std::uint8_t*>(page.words + count);
        if (2 * count >= pool_.capacity()) {
            std::memmove(page.partitions, partitions, static_cast<std::size_t>(count));
            keep(number);
        } else {
            for (std::int64_t i = 0; i < count; ++i) put(page.header->bucket, page.words[i], partitions[i]);
            pool_.give(number);
        }
    }

    /// Frees pages: those that have been sent, else by spilling all records of this rank.
    void make_room() {
        reclaim();
        if (pool_.free_pages() == 0) spill();
    }
    void spill() {
        for (std::int64_t bucket = first_own_; bucket < end_own_; ++bucket) spill_bucket(bucket);
        has_spilled_ = true;
    }
    void spill_bucket(std::int64_t bucket) {
        close_page(bucket);
        std::vector<std::int64_t>& pages = pages_[static_cast<std::size_t>(bucket)];
        const auto step =
            static_cast<std::size_t>(std::max<std::int64_t>(1, grouping_.capacity() / pool_.capacity()));
        for (std::size_t begin = 0; begin < pages.size(); begin += step) {
            const auto slice = std::span(pages).subspan(begin, std::min(step, pages.size() - begin));
            grouping_.gather(pool_, slice);
            RunWriter<Word> writer(spill_, runs_++, segments_[static_cast<std::size_t>(bucket)]);
            for (std::int64_t sub = 0; sub < std::int64_t{1} << sub_bits_; ++sub) {
                const SortedRecords<Word> records{grouping_.sorted(static_cast<std::size_t>(sub)), {}};
                statistics_.spilled_records += writer.add((bucket << sub_bits_) + sub, records);
            }
            writer.close();
        }
        for (const std::int64_t number : pages) pool_.give(number);
        pages.clear();
    }

    /// Gives the contexts that stand before `end` to `sink_for(partition)`, a partition at a time.
    template <typename SinkFor>
    void scan_all(const SamplePlace& end, SinkFor sink_for) {
        for (std::int64_t bucket = first_own_; bucket < end_own_; ++bucket)
            for_each_partition(bucket, [&](std::int64_t partition, SortedRecords<Word> records) {
                const auto stop =
                    std::partition_point(records.words.begin(), records.words.end(), [&](const Word& record) {
                        return SamplePlace{packing_.sample_hash(record), partition} < end;
                    });
                records.words = records.words.first(static_cast<std::size_t>(stop - records.words.begin()));
                scanner_.scan(records, sink_for(partition));
            });
    }

    /// Calls `visit(partition, records)` for the partitions of a bucket, ascending.
    template <typename Visit>
    void for_each_partition(std::int64_t bucket, Visit visit) {
        close_page(bucket);
        const auto& pages = pages_[static_cast<std::size_t>(bucket)];
        auto& segments = segments_[static_cast<std::size_t>(bucket)];
        const std::int64_t room = grouping_.capacity() / pool_.capacity();
        if (segments.empty() && static_cast<std::int64_t>(pages.size()) <= room) {
            grouping_.gather(pool_, pages);
            for (std::int64_t sub = 0; sub < std::int64_t{1} << sub_bits_; ++sub)
                visit((bucket << sub_bits_) + sub,
                      SortedRecords<Word>{grouping_.sorted(static_cast<std::size_t>(sub)), {}});
            return;
        }
        spill_bucket(bucket);
        spill_.flush();
        std::vector<Run> runs = runs_of(segments);
        for (; runs.size() > merge_width_; runs = runs_of(segments)) segments = in_fewer_runs(runs);
        merge(runs, visit);
    }

    using Run = std::vector<Segment>;
    static std::vector<Run> runs_of(const std::vector<Segment>& segments) {
        std::vector<Run> runs;
        for (const Segment& segment : segments) {
            if (runs.empty() || runs.back().front().run != segment.run) runs.emplace_back();
            runs.back().push_back(segment);
        }
        return runs;
    }
    /// One run for each `merge_width_` of them, with the same records, at the file's end.
    std::vector<Segment> in_fewer_runs(std::span<const Run> runs) {
        std::vector<Segment> segments;
        for (std::size_t begin = 0; begin < runs.size(); begin += merge_width_) {
            RunWriter<Word> writer(spill_, runs_++, segments);
            merge(runs.subspan(begin, std::min(merge_width_, runs.size() - begin)),
                  [&](std::int64_t partition, const SortedRecords<Word>& records) {
                      statistics_.spilled_records += writer.add(partition, records);
                  });
            writer.close();
        }
        spill_.flush();
        return segments;
    }
    /// Calls `visit(partition, records)` for the partitions of some runs of a bucket, ascending.
    template <typename Visit>
    void merge(std::span<const Run> segments, Visit visit) {
        std::vector<RunReader<Word>> runs;
        for (const Run& run : segments) runs.emplace_back(spill_, run);
        Tally<Word> tally(grouping_.sorter(), grouping_.memory());
        while (true) {
            std::int64_t partition = partition_count;
            for (const auto& run : runs)
                if (run.partition() >= 0) partition = std::min(partition, run.partition());
            if (partition == partition_count) return;
            tally.clear();
            for (auto& run : runs)
                if (run.partition() == partition) run.take(tally);
            visit(partition, tally.sorted());
        }
    }

    const mpi::Communicator& comm_;
    int ranks_, rank_;
    Packing<Word> packing_;
    ContextScanner<Word> scanner_;
    int bucket_bits_, sub_bits_;
    std::size_t merge_width_;
    PagePool<Word> pool_;
    PartitionSorter<Word> grouping_;
    std::vector<Cursor> cursors_;
    std::vector<std::vector<std::int64_t>> pages_;  // of own buckets, not open
    std::vector<std::vector<Segment>> segments_;
    SpillFile spill_;
    std::int64_t runs_ = 0;
    bool has_spilled_ = false;
    std::int64_t first_own_ = 0, end_own_ = 0;
    mpi::Mailbox mailbox_;
    std::deque<std::int64_t> landing_;  // pages that receive, the first first, and the next to do so
    std::size_t unasked_ = 0;           // tokens since it was last asked what has come
    int ended_ = 0;                     // ranks that have sent their last page of this exchange
    CounterStatistics statistics_;
};

template <typename Word, typename... Wider>
std::unique_ptr<NgramCounter> make_narrowest(const mpi::Communicator& comm, const CounterOptions& options) {
    if constexpr (sizeof...(Wider) > 0)
        if (!Packing<Word>::holds(options.order, options.vocabulary))
            return make_narrowest<Wider...>(comm, options);
    return std::make_unique<Counter<Word>>(comm, options);
}

}  // namespace

std::unique_ptr<NgramCounter> NgramCounter::make(const mpi::Communicator& comm,
                                                 const CounterOptions& options) {
    require(options.order >= least_order && options.order <= greatest_order, "the order is {}, not {} to {}",
            options.order, least_order, greatest_order);
    require(options.vocabulary >= 1 && options.vocabulary <= greatest_vocabulary,
            "a vocabulary of {} tokens is not within 1 to {}", options.vocabulary, greatest_vocabulary);
    return make_narrowest<std::uint64_t, Word96, Word112, Wide, Word192>(comm, options);
}

}  // namespace eckart::ngrams
