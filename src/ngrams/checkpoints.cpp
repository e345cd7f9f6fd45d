#include "eckart/ngrams/checkpoints.hpp"

#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

namespace eckart::ngrams {

namespace fs = std::filesystem;

Checkpoints::Checkpoints(const mpi::Communicator& comm, fs::path journal, fs::path directory,
                         nlohmann::json key)
    : comm_(comm), journal_(std::move(journal)), directory_(std::move(directory)), key_(std::move(key)) {
    comm_.barrier();  // another rank may still be taking away what an earlier one of these left
    io::make_directory(directory_);
}

Checkpoints::~Checkpoints() {
    if (generation_ > 0) return;
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
    fs::remove(directory_.parent_path(), ignored);  // when no other rank is left in it
}

fs::path Checkpoints::state_path(std::int64_t generation) const {
    return directory_ / fmt::format("checkpoint-{}", generation);
}

/// The generation that the journal names, 0 when it is absent, unreadable or of another job.
std::int64_t Checkpoints::journal_generation() const {
    if (!fs::exists(journal_)) return 0;
    const auto journal = nlohmann::json::parse(io::read_file(journal_), nullptr, false);
    if (journal.is_discarded() || !journal.contains("generation") ||
        journal.value("ranks", 0) != comm_.size() || journal.value("key", nlohmann::json()) != key_)
        return 0;
    return journal.at("generation").get<std::int64_t>();
}

std::optional<nlohmann::json> Checkpoints::load() {
    std::int64_t generation = 0;
    mpi::agree(comm_, [&] {
        if (comm_.is_root()) generation = journal_generation();
    });
    generation = mpi::broadcast(comm_, generation);
    nlohmann::json state;
    if (generation > 0 && fs::exists(state_path(generation)))
        state = nlohmann::json::from_cbor(io::read_file(state_path(generation)), true, false);
    const bool whole = state.is_object() && state.value("generation", std::int64_t{0}) == generation;
    if (generation == 0 || mpi::any(comm_, !whole)) {
        for (const auto& entry : fs::directory_iterator(directory_)) fs::remove_all(entry.path());
        return std::nullopt;
    }
    generation_ = generation;
    return state.at("state");
}

void Checkpoints::save(const nlohmann::json& state) {
    const std::int64_t next = generation_ + 1;
    mpi::agree(comm_, [&] {
        const auto bytes = nlohmann::json::to_cbor({{"generation", next}, {"state", state}});
        io::write_file(state_path(next), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    });
    mpi::agree(comm_, [&] {
        if (comm_.is_root())
            io::write_file(journal_, nlohmann::json{{"format", "eckart-checkpoint"},
                                                    {"generation", next},
                                                    {"ranks", comm_.size()},
                                                    {"key", key_}}
                                         .dump(1));
    });
    std::error_code ignored;
    fs::remove(state_path(generation_), ignored);
    generation_ = next;
}

void Checkpoints::clear() {
    mpi::agree(comm_, [&] {
        if (comm_.is_root()) fs::remove(journal_);
    });
    std::error_code ignored;
    fs::remove(state_path(generation_), ignored);
    generation_ = 0;
}

}  // namespace eckart::ngrams
