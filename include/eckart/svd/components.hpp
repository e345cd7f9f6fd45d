#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/svd/row_blocks.hpp"

#include <cstdint>
#include <vector>

namespace eckart::svd {

/// G = W'W falls into the connected components of the columns: two columns are connected when a row holds
/// both. A column of one-hot rows alone is a component by itself, whose eigenvalue is its diagonal entry.
struct Components {
    std::vector<std::int32_t> number;          ///< of each column: its component, or -1 when alone
    std::vector<std::int32_t> position;        ///< of each column within its component, the rarest first
    std::vector<std::int64_t> sizes;           ///< of the components of two and more, largest first
    std::vector<double> isolated_eigenvalues;  ///< of the columns that are alone
    std::int64_t longest_sum = 0;              ///< the most terms that any entry of G has
};
/// Collective: each rank looks at its share of the blocks.
Components find_components(RowBlocks& blocks, matrix::RowWeight weight, Progress& progress);

}  // namespace eckart::svd
