#pragma once

#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/svd/gram_spectrum.hpp"

#include <string>

namespace eckart::svd {

/// What `gram_spectrum` will need, in lines for a person: memory a rank and on how many ranks it fits, disk,
/// flops, and seconds by part, from a second's measurement of this machine and a few blocks of the matrix.
/// The order of the eigenvalue problem is taken at its highest: which columns stand alone is known only when
/// the matrix has been read. Collective.
std::string gram_forecast(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                          const GramOptions& options);

}  // namespace eckart::svd
