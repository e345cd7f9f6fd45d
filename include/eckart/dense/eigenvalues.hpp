#pragma once

#include "eckart/dense/symmetric_columns.hpp"

#include <string>
#include <vector>

namespace eckart::dense {

/// How all eigenvalues of a symmetric matrix are found.
///   two_stage  Eckart's own (two_stage.hpp): faster than every packaged solver on one rank and on several
///              (bench-eigensolver), in a fraction of their memory
///   scalapack  ScaLAPACK's pdsyev over a grid of all ranks: one stage, by other hands, so that the first is
///              held against it on any number of nodes (pdsyevr was off by 7e-9 for a matrix of clusters)
enum class Eigensolver { two_stage, scalapack };
Eigensolver parse_eigensolver(const std::string& name);
std::string name_of(Eigensolver solver);

/// All eigenvalues, ascending, on every rank, by ScaLAPACK; destroys the matrix. Collective. Throws `Error`
/// when ScaLAPACK fails, its 32-bit sizes do not suffice, or the matrix holds a value that is not finite.
template <typename T>
std::vector<double> eigenvalues_by_scalapack(SymmetricColumns<T>& matrix);
/// Bytes that a rank holds for it.
std::int64_t scalapack_bytes(std::int64_t size, int ranks);

}  // namespace eckart::dense
