#pragma once

#include "eckart/dense/symmetric_columns.hpp"

#include <string>
#include <vector>

namespace eckart::dense {

/// How all eigenvalues of a symmetric matrix are found.
///   two_stage  Eckart's own (two_stage.hpp): faster than every packaged solver on one rank and on several
///              (bench-eigensolver), in a fraction of their memory
///   lapack     gathered to one rank, whose BLAS threads use the node's cores (dsyevd_2stage): slower, and by
///              other hands, so that the first can be held against it
enum class Eigensolver { two_stage, lapack };
Eigensolver parse_eigensolver(const std::string& name);
std::string name_of(Eigensolver solver);

/// All eigenvalues, ascending, on every rank, by LAPACK on the first; destroys the matrix. Collective.
/// `threads`: of the first rank, while the others wait. Throws `Error` when LAPACK fails or the matrix holds
/// a value that is not finite.
template <typename T>
std::vector<double> eigenvalues_by_lapack(SymmetricColumns<T>& matrix, int threads);

/// All eigenvalues, ascending, of a small symmetric matrix on this rank. Shape: size x size, column-major,
/// lower triangle read, destroyed.
std::vector<double> local_eigenvalues(std::vector<double>& matrix, std::int64_t size);

}  // namespace eckart::dense
