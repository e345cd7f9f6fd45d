#pragma once

#include "eckart/driver/command_line.hpp"

#include <filesystem>
#include <string>

namespace eckart::driver {

/// What eckart-matrix takes besides a corpus and places: which n-grams are counted, and how.
po::options_description counting_options();
/// What eckart-spectrum takes besides a matrix and places: which values are computed, and how.
po::options_description spectrum_options();
/// Where both put what memory does not hold.
po::options_description scratch_options();
/// The directory of --scratch, or, where none is given, what the machine says.
std::filesystem::path scratch_root(const std::string& given);
std::filesystem::path scratch_root(const Command& command);

}  // namespace eckart::driver
