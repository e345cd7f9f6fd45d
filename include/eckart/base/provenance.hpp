#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace eckart {

/// Who made an artefact, when, how: version, program, command line, host, ranks, threads, start time (UTC).
/// `extra` (method, seed, kernels, digests of inputs) is added as it is.
nlohmann::json provenance(int argc, const char* const* argv, int ranks, const nlohmann::json& extra);

/// "2026-01-31T12:00:00Z"
std::string utc_now();
std::string host_name();
/// Of the running computer, the same for all containers and emulated nodes on it.
std::string machine_id();

}  // namespace eckart
