#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>

namespace eckart::svd {

/// G = W'W over the coupled columns as an iteration sees it: x -> G x for panels spread over the ranks by
/// rows.
class SymmetricOperator {
public:
    virtual ~SymmetricOperator() = default;
    /// G x. Collective.
    virtual dense::TallMatrix apply(const dense::Columns& x) = 0;

    const mpi::Communicator& comm() const { return comm_; }
    /// Order of G.
    std::int64_t size() const { return size_; }
    std::int64_t first_row(int rank) const { return size_ * rank / comm_.size(); }
    std::int64_t first_row() const { return first_row(comm_.rank()); }
    std::int64_t local_rows() const { return first_row(comm_.rank() + 1) - first_row(); }

protected:
    /// The communicator must outlive it.
    SymmetricOperator(const mpi::Communicator& comm, std::int64_t size) : comm_(comm), size_(size) {}

private:
    const mpi::Communicator& comm_;
    std::int64_t size_;
};

}  // namespace eckart::svd
