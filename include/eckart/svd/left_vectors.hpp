#pragma once

#include "eckart/svd/spectrum.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace eckart::svd {

/// Contexts as a text file names them: a line each, token ids between spaces. Throws `Error` naming the line.
std::vector<std::vector<std::int32_t>> read_contexts(const std::filesystem::path& path);

/// The rows of U for some contexts, u_i = W_i v / sigma, from the right vectors of the spectrum; never all of
/// U. Zero where sigma is zero to rounding. Shape: contexts x vectors, row-major. Local: reads the kept
/// contexts of the matrix once. Throws `Error` when they were not kept, or naming a context that does not
/// occur.
std::vector<double> left_vectors(const std::filesystem::path& matrix, const Spectrum& spectrum,
                                 const std::vector<std::vector<std::int32_t>>& contexts);

}  // namespace eckart::svd
