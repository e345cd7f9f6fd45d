#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::report {

/// One statement that must hold of the artefacts, and what was found.
struct Check {
    std::string name;
    bool passed = false;
    std::string found;
};

struct Verdict {
    std::vector<Check> checks;
    bool passed() const;
};

/// Reads every block of the matrix and the spectrum once and checks them against each other and against what
/// any matrix of n-grams must obey. Shares nothing with the solvers but the reading of files. What is damaged
/// is a failed check; only a missing or unreadable manifest throws.
/// *Collective.* *Cost:* one pass, O(non-zeros) additions; 24 bytes a column on every rank and one block.
Verdict verify(const mpi::Communicator& comm, const std::filesystem::path& matrix_directory,
               const std::filesystem::path& spectrum_path, Progress& progress);

/// What a verdict is about: size and time of every file of the matrix and of the spectrum. Not collective.
nlohmann::json verdict_recipe(const std::filesystem::path& matrix_directory,
                              const std::filesystem::path& spectrum_path);
/// Whether `path` holds a verdict that passed on just these files.
bool has_passed(const std::filesystem::path& path, const nlohmann::json& recipe);
/// Writes verdict.json, atomically. Not collective.
void write_verdict(const std::filesystem::path& path, const Verdict& verdict, const nlohmann::json& recipe,
                   const nlohmann::json& provenance, const Progress& progress);

}  // namespace eckart::report
