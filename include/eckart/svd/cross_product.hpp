#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/dense/symmetric_columns.hpp"
#include "eckart/svd/components.hpp"
#include "eckart/svd/row_blocks.hpp"

#include <cstdint>
#include <vector>

namespace eckart::svd {

/// Components above this order are spread over the ranks; the others are dealt out whole.
inline constexpr std::int64_t local_order = 256;

/// The lower triangle of a small component, on one rank, column-major.
template <typename T>
struct LocalComponent {
    std::int64_t size = 0;
    std::vector<T> values;
};

/// The rank that holds small component `number`.
int small_owner(std::size_t number, int ranks);

/// G by components, in precision T.
template <typename T>
struct CrossProduct {
    std::vector<dense::SymmetricColumns<T>> large;  ///< component i, for the first ones
    std::vector<LocalComponent<T>> small;           ///< the others by number; without values on other ranks
};

/// The zero matrix in the shape of `components`: what is to be added to. Collective.
template <typename T>
CrossProduct<T> zero_cross_product(const mpi::Communicator& comm, const Components& components);

/// Forms G in one pass. Each rank prepares the rows of its own blocks and sends them to the ranks that own a
/// column of theirs; each adds to its own columns. Collective. Cost: sum k (k + 1) / 2 multiply-adds over all
/// ranks, k non-zeros a row; rows with thousands of them are gathered and added by matrix products.
template <typename T>
CrossProduct<T> cross_product(RowBlocks& blocks, const Components& components, matrix::RowWeight weight,
                              Progress& progress);

/// Pairs that a rank adds to G in a second where G is much larger than the caches, for plans
/// (bench-cross-product).
inline constexpr double pairs_a_second = 1e8;

/// Bytes that a rank holds beside G and its blocks while G of `nonzeros` and `places` columns is formed.
std::int64_t cross_product_buffer_bytes(std::int64_t nonzeros, std::int64_t places,
                                        std::int64_t element_bytes);

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
