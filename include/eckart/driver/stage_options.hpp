#pragma once

#include "eckart/driver/command_line.hpp"

namespace eckart::driver {

/// What eckart-matrix takes besides a corpus and places: which n-grams are counted, and how.
po::options_description counting_options();
/// What eckart-spectrum takes besides a matrix and places: which values are computed, and how.
po::options_description spectrum_options();

}  // namespace eckart::driver
