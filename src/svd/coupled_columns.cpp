#include "eckart/svd/coupled_columns.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <span>

namespace eckart::svd {

CoupledColumns coupled_columns(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                               matrix::RowWeight weight, Progress& progress) {
    const auto columns = static_cast<std::size_t>(reader.column_count());
    std::vector<std::int64_t> occurrences(columns);
    progress.begin("finding coupled columns");
    mpi::agree(comm, [&] {
        matrix::BlockStream stream(reader, reader.share(comm.rank(), comm.size()));
        while (const auto block = stream.next())
            for (const std::int32_t column : block->indices) ++occurrences[static_cast<std::size_t>(column)];
    });
    mpi::all_sum(comm, std::span(occurrences));
    progress.end();
    CoupledColumns result;
    result.position.assign(columns, -1);
    const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
    for (std::size_t column = 0; column < columns; ++column) {
        if (occurrences[column] == 0)
            result.isolated_eigenvalues.push_back(diagonal[column]);
        else
            result.coupled.push_back(static_cast<std::int32_t>(column));
    }
    std::stable_sort(result.coupled.begin(), result.coupled.end(), [&](std::int32_t a, std::int32_t b) {
        return occurrences[static_cast<std::size_t>(a)] > occurrences[static_cast<std::size_t>(b)];
    });
    for (std::size_t i = 0; i < result.coupled.size(); ++i)
        result.position[static_cast<std::size_t>(result.coupled[i])] = static_cast<std::int32_t>(i);
    return result;
}

}  // namespace eckart::svd
