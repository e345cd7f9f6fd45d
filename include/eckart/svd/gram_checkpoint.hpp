#pragma once

#include "eckart/io/recipe.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/svd/cross_product.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace eckart::svd {

/// The finished cross product on disk, so that a job killed in the eigensolver does not read the matrix
/// again, on however many ranks it goes on. A directory of one HDF5 file for each rank that wrote, and a
/// manifest, written last. The large components lie in strips of `band` columns, from the diagonal down, so
/// that any number of ranks finds its columns; every array carries a digest that is checked when it is read.
template <typename T>
class GramCheckpoint {
public:
    /// `recipe`: all that decides G. Nothing is touched.
    GramCheckpoint(std::filesystem::path directory, io::Recipe recipe)
        : directory_(std::move(directory)), recipe_(std::move(recipe)) {}

    const std::filesystem::path& directory() const { return directory_; }
    /// Whether a whole one of this recipe is there. Collective.
    bool exists(const mpi::Communicator& comm) const;
    /// Collective. Throws `Error` on every rank, naming the path and the cause.
    void write(const mpi::Communicator& comm, const Components& components,
               const CrossProduct<T>& gram) const;
    /// Collective. Throws `Error` on every rank, naming the file that is damaged.
    Components read_components(const mpi::Communicator& comm) const;
    CrossProduct<T> read(const mpi::Communicator& comm, const Components& components) const;
    /// Columns [number band, (number + 1) band) of a large component, from the first one's diagonal down.
    /// Not collective.
    std::vector<T> strip(std::int64_t component, std::int64_t number) const;

private:
    static constexpr std::int64_t band = dense::SymmetricColumns<T>::band;

    std::filesystem::path file(std::int64_t number) const;
    void write_own(const mpi::Communicator& comm, const Components& components,
                   const CrossProduct<T>& gram) const;

    std::filesystem::path directory_;
    io::Recipe recipe_;
};

/// Removes a checkpoint, whole or not; silent when there is none. Not collective.
void remove_gram_checkpoint(const std::filesystem::path& directory);

}  // namespace eckart::svd
