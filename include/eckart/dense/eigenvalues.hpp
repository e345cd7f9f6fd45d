#pragma once

#include "eckart/dense/symmetric_columns.hpp"

#include <string>
#include <vector>

namespace eckart::dense {

/// How all eigenvalues of a symmetric matrix are found.
///   automatic  for each matrix the one of the next two that is measured to be faster (`chosen`)
///   two_stage  Eckart's own (two_stage.hpp): faster than every packaged solver on one rank and on several
///              (bench-eigensolver), in a fraction of their memory
///   lapack     LAPACK's dsyevd on the first rank, which holds the square: the fastest where all of it is in
///              the cache and two stages, or ranks that wait for each other, do not pay
///   scalapack  ScaLAPACK's pdsyev over a grid of all ranks: one stage, by other hands, so that the first is
///              held against it on any number of nodes (pdsyevr was off by 7e-9 for a matrix of clusters)
enum class Eigensolver { automatic, two_stage, lapack, scalapack };
/// Throws `UsageError` for a name that is none of theirs.
Eigensolver parse_eigensolver(const std::string& name);
std::string name_of(Eigensolver solver);

/// The highest order at which dsyevd beats two stages: at 300 and 600 it takes two thirds of their time, at
/// 800 the same, at 1,000 more, on one rank and on two (bench/README.md). Not measured anew in each run, so
/// that a run repeated has the same bits.
inline constexpr std::int64_t lapack_wins_up_to = 768;
/// What `automatic` takes for a matrix of this order; another solver itself. Vectors need two stages.
Eigensolver chosen(Eigensolver asked, std::int64_t order, bool vectors);
/// Whether vectors can be asked for.
bool gives_vectors(Eigensolver asked);

/// All eigenvalues, ascending, on every rank, by LAPACK on the first. Collective. Throws `Error` when LAPACK
/// fails or the matrix holds a value that is not finite.
template <typename T>
std::vector<double> eigenvalues_by_lapack(const SymmetricColumns<T>& matrix);

/// All eigenvalues, ascending, on every rank, by ScaLAPACK; destroys the matrix. Collective. Throws `Error`
/// when ScaLAPACK fails, its 32-bit sizes do not suffice, or the matrix holds a value that is not finite.
template <typename T>
std::vector<double> eigenvalues_by_scalapack(SymmetricColumns<T>& matrix);

/// Bytes that the fullest rank holds for a solver beside the matrix and panels of it.
std::int64_t solver_bytes(Eigensolver asked, std::int64_t size, int ranks);

}  // namespace eckart::dense
