#pragma once

#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>

#include <nlohmann/json.hpp>

namespace eckart::ngrams {

/// A rank's scratch directory, and where a counting job continues after it was killed. Every rank writes its
/// state there, durably; when all have, the first rank names that generation in a journal, and only then is
/// the one before forgotten: at any moment the journal names a whole generation or none. The directory is
/// removed with the object, unless a checkpoint in it can be continued.
class Checkpoints {
public:
    /// `key` says what is being made: a journal with another key, or from another number of ranks, is not
    /// continued. Collective.
    Checkpoints(const mpi::Communicator& comm, std::filesystem::path journal, std::filesystem::path directory,
                nlohmann::json key);
    ~Checkpoints();
    Checkpoints(Checkpoints&&) = delete;

    const std::filesystem::path& directory() const { return directory_; }
    /// This rank's last state. Nothing when there is none for all ranks; the directory is then emptied.
    /// Collective.
    std::optional<nlohmann::json> load();
    /// Collective.
    void save(const nlohmann::json& state);
    /// Collective.
    void clear();

private:
    std::filesystem::path state_path(std::int64_t generation) const;
    std::int64_t journal_generation() const;
    const mpi::Communicator& comm_;
    std::filesystem::path journal_, directory_;
    nlohmann::json key_;
    std::int64_t generation_ = 0;
};

}  // namespace eckart::ngrams
