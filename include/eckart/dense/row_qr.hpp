#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::dense {

/// R of a QR factorisation of a matrix that comes row by row and is never held: R <- qr([R; rows]).
/// Reference: Demmel, Grigori, Hoemmen and Langou 2012 (TSQR).
class RowQr {
public:
    explicit RowQr(std::int64_t columns);

    /// Adds a row. Cost: some 3 columns^2 flops.
    void add(std::span<const double> row);
    /// The singular values, descending, of the rows that all ranks have added. Collective.
    std::vector<double> singular_values(const mpi::Communicator& comm);
    /// Bytes held.
    static std::int64_t bytes(std::int64_t columns);

private:
    void factor();

    std::int64_t columns_;
    std::int64_t filled_ = 0;  ///< rows below R
    SmallMatrix stack_;        ///< R, and rows that wait below it
    SmallMatrix reflectors_;
};

}  // namespace eckart::dense
