#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/block_cyclic.hpp"
#include "eckart/dense/symmetric_columns.hpp"

#include <string>
#include <vector>

namespace eckart::dense {

/// How all eigenvalues of a symmetric matrix are found.
///   two_stage  Eckart's own: distributed reduction to a band, bulge chasing, QL; each rank holds half of its
///              share of the square. The fastest of the four on one and two ranks (bench-eigensolver)
///   elpa       ELPA's two-stage reduction over a process grid
///   lapack     gathered to one rank, whose BLAS threads use the node's cores (dsyevd_2stage)
///   scalapack  one-stage reduction over a process grid (pdsyevd)
/// The last three are independent checks of the first.
enum class Eigensolver { two_stage, elpa, lapack, scalapack };
Eigensolver parse_eigensolver(const std::string& name);
std::string name_of(Eigensolver solver);

/// All eigenvalues, ascending, on every rank; destroys the matrix. Collective. `node_cores`: threads that one
/// rank may use while the others wait. Throws `Error` when the solver fails or the matrix holds a value that
/// is not finite.
template <typename T>
std::vector<double> eigenvalues(SymmetricColumns<T>& matrix, Eigensolver solver, int node_cores,
                                Progress& progress);

/// The same of a matrix over a grid, by one of the packaged solvers. Reads the lower triangle; destroys the
/// matrix. Collective.
std::vector<double> eigenvalues(BlockCyclicMatrix<double>& matrix, Eigensolver solver, int node_cores);

/// All eigenvalues, ascending, of a small symmetric matrix on this rank. Shape: size x size, column-major,
/// lower triangle read, destroyed.
std::vector<double> local_eigenvalues(std::vector<double>& matrix, std::int64_t size);

}  // namespace eckart::dense
