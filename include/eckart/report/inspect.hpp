#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

namespace eckart::report {

/// What an artefact is: {kind, path, complete, ...} with its shape, digest, recipe and provenance. Knows
/// matrix directories, block and column files, manifests, spectra, verdicts, summaries, run directories, and
/// the
/// `.partial` files that an unfinished writer leaves. Only headers are read: `eckart-verify` checks contents.
/// Throws `Error` when there is nothing at `path` or it is nothing of Eckart's.
nlohmann::json inspect(const std::filesystem::path& path);

/// The same for a terminal: one indented `name  value` line each.
std::string inspection_text(const nlohmann::json& facts);

}  // namespace eckart::report
