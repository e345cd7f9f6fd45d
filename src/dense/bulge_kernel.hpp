#pragma once

#include <cstdint>

namespace eckart::dense {

/// A Householder reflector H = I - tau v v', v[0] = 1.
struct Reflector {
    alignas(64) double v[64];
    double tau;
};

/// The reflector that turns x into (beta, 0, ...); x becomes that.
void reflect(double* x, Reflector& h);

/// D := H D H for the block of 64 columns at `d` (its diagonal's first element) of a band matrix that stores
/// `height` numbers a column.
void reflect_diagonal(double* d, std::int64_t height, const Reflector& h);

/// For the block below it at `l` (its first row and column): L := L H, then the reflector `next` that clears
/// its first column below the first element, and L := next L.
void chase_below(double* l, std::int64_t height, const Reflector& h, Reflector& next);

}  // namespace eckart::dense
