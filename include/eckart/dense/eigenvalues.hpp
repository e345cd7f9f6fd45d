#pragma once

#include "eckart/dense/block_cyclic.hpp"

#include <string>
#include <vector>

namespace eckart::dense {

/// How all eigenvalues of a symmetric matrix are found.
///   elpa       two-stage reduction of the distributed matrix (ELPA): each rank holds its tiles only
///   lapack     the matrix is gathered to one rank, whose BLAS threads use all cores of the node: two-stage
///   reduction scalapack  one-stage reduction (pdsyevd): the reference the others are tested against
enum class Eigensolver { elpa, lapack, scalapack };
Eigensolver parse_eigensolver(const std::string& name);
std::string name_of(Eigensolver solver);

/// All eigenvalues, ascending, on every rank. Reads the lower triangle; destroys the matrix. Collective.
/// `node_cores`: how many threads the `lapack` solver may use. Throws `Error` when the solver fails or the
/// matrix holds a value that is not finite.
std::vector<double> eigenvalues(BlockCyclicMatrix<double>& matrix, Eigensolver solver, int node_cores);

/// All eigenvalues, ascending, of a small symmetric matrix on this rank. Shape: size x size, column-major,
/// lower triangle read, destroyed.
std::vector<double> local_eigenvalues(std::vector<double>& matrix, std::int64_t size);

}  // namespace eckart::dense
