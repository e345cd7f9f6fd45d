#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/symmetric_columns.hpp"
#include "eckart/matrix/matrix_reader.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace eckart::svd {

/// Row blocks in one order on every rank, each read from disk by one rank, once: a rank keeps what it has
/// read for the second look when its share fits in `keep_bytes`, and reads it again otherwise.
class RowBlocks {
public:
    RowBlocks(const mpi::Communicator& comm, const matrix::MatrixReader& reader, std::int64_t keep_bytes);

    const mpi::Communicator& comm() const { return comm_; }
    const matrix::MatrixReader& reader() const { return reader_; }
    std::int64_t nonzeros() const;
    bool kept() const { return keep_; }
    /// Each block of this rank's share. Not collective.
    void for_each_own(const std::function<void(const matrix::CsrBlock&)>& action);
    /// Every block, on every rank. Collective.
    void for_each(const std::function<void(const matrix::CsrBlock&)>& action);

private:
    const mpi::Communicator& comm_;
    const matrix::MatrixReader& reader_;
    std::vector<std::int64_t> own_;
    bool keep_;
    std::vector<matrix::CsrBlock> blocks_;
};

/// G = W'W falls into the connected components of the columns: two columns are connected when a row holds
/// both. A column of one-hot rows alone is a component by itself, whose eigenvalue is its diagonal entry.
struct Components {
    std::vector<std::int32_t> number;          ///< of each column: its component, or -1 when alone
    std::vector<std::int32_t> position;        ///< of each column within its component
    std::vector<std::int64_t> sizes;           ///< of the components of two and more, largest first
    std::vector<double> isolated_eigenvalues;  ///< of the columns that are alone
    std::int64_t longest_sum = 0;              ///< the most terms that any entry of G has
};
/// Collective: each rank looks at its share of the blocks.
Components find_components(RowBlocks& blocks, matrix::RowWeight weight, Progress& progress);

/// Components above this order are spread over the ranks; the others are dealt out whole.
inline constexpr std::int64_t local_order = 256;

/// The lower triangle of a small component, on one rank, column-major.
struct LocalComponent {
    std::int64_t size = 0;
    std::vector<double> values;
};

/// G by components, in precision T.
template <typename T>
struct CrossProduct {
    std::vector<dense::SymmetricColumns<T>> large;  ///< component i, for the first ones
    std::vector<LocalComponent> small;              ///< the others by number; without values on other ranks
};

/// The zero matrix in the shape of `components`: what is to be added to. Collective.
template <typename T>
CrossProduct<T> zero_cross_product(const mpi::Communicator& comm, const Components& components);

/// Forms G in one pass: each rank adds only to its own columns, row blocks in one order, so the numbers do
/// not depend on the ranks. Collective. Cost: sum k^2 / 2 multiply-adds over all ranks, k non-zeros a row;
/// rows with thousands of them are gathered and added by matrix products.
template <typename T>
CrossProduct<T> cross_product(RowBlocks& blocks, const Components& components, matrix::RowWeight weight,
                              Progress& progress);

/// Sums that G must satisfy whatever the solver says.
struct CrossProductSums {
    double trace = 0;         ///< ||W||_F^2 of the connected part
    double all_entries = 0;   ///< sum_r m_r (sum p_r)^2: the number of contexts in connected columns
    double squared_norm = 0;  ///< ||G||_F^2 = sum lambda^2
};
/// Collective.
template <typename T>
CrossProductSums sums_of(const mpi::Communicator& comm, const CrossProduct<T>& gram);

}  // namespace eckart::svd
