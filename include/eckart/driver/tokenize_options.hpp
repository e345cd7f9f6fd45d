#pragma once

#include "eckart/driver/command_line.hpp"

namespace eckart::driver {

/// The options of eckart-tokenize, which `eckart tokenize` takes too and hands on.
po::options_description tokenize_options();

}  // namespace eckart::driver
