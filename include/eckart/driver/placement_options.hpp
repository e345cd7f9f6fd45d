#pragma once

#include "eckart/driver/command_line.hpp"
#include "eckart/driver/launcher.hpp"

namespace eckart::driver {

/// The options that say how a job is launched on this machine: --ranks, --threads, --oversubscribe.
po::options_description placement_options();
/// Their values; warns on stderr when ranks will take turns and nobody asked for it.
Placement placement_of(const Command& command);

}  // namespace eckart::driver
