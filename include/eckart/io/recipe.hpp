#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::io {

/// What an artefact was made from: every option that can change it, and the digests of its inputs. Two equal
/// recipes give the same artefact, on any number of ranks, so a finished one need not be made again.
using Recipe = nlohmann::json;

/// "order 4 -> 5, vocabulary 32000 -> 1000": what differs between two recipes, by dotted name. Empty when
/// equal.
std::string differences(const Recipe& old_recipe, const Recipe& new_recipe);

/// Digest of an input file for a recipe. Files up to 64 MiB are read whole. Of larger ones the size, the
/// modification time and 64 evenly spaced MiB (first and last among them) are taken, so that recognising a
/// terabyte does not cost reading it. Throws `Error` naming the path.
std::string input_digest(const std::filesystem::path& path);

}  // namespace eckart::io
