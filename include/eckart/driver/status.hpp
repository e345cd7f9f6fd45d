#pragma once

#include "eckart/driver/run_directory.hpp"

#include <string>

#include <nlohmann/json.hpp>

namespace eckart::driver {

/// How far a run is, from its directory alone: {state, stages: [{name, state, step, fraction, rate, eta,
/// restarts, error, ...}]}. A state is waiting, running, interrupted (it will go on), stopped (nobody works
/// on it), failed, or done.
nlohmann::json status_of(const RunDirectory& directory);
std::string status_text(const nlohmann::json& status);

}  // namespace eckart::driver
