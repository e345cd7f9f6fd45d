#include "eckart/svd/coupled_columns.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <span>

namespace eckart::svd {

CoupledColumns coupled_columns(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                               matrix::RowWeight weight, Progress& progress) {
    const auto columns = static_cast<std::size_t>(reader.column_count());
    std::vector<std::uint8_t> seen(columns);
    progress.begin("finding coupled columns");
    mpi::agree(comm, [&] {
        matrix::BlockStream stream(reader, reader.share(comm.rank(), comm.size()));
        while (const auto block = stream.next())
            for (const std::int32_t column : block->indices) seen[static_cast<std::size_t>(column)] = 1;
    });
    mpi::all_max(comm, std::span(seen));
    progress.end();
    CoupledColumns result;
    result.position.assign(columns, -1);
    const std::vector<double> diagonal = reader.one_hot_diagonal(weight);
    for (std::size_t column = 0; column < columns; ++column) {
        if (seen[column] == 0) {
            result.isolated_eigenvalues.push_back(diagonal[column]);
        } else {
            result.position[column] = static_cast<std::int32_t>(result.coupled.size());
            result.coupled.push_back(static_cast<std::int32_t>(column));
        }
    }
    return result;
}

}  // namespace eckart::svd
