#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace eckart::svd {

/// What an iteration needs to go on: the names of its panels, and the small numbers beside them.
struct StoredState {
    std::vector<std::string> panels;
    std::vector<std::int64_t> counts;
    std::vector<std::vector<double>> numbers;
};

/// A checkpoint directory: tall panels, each rank's rows in a file of its own, and one state file that names
/// the panels which belong to it and is replaced last. So what is there after a kill at any moment is a whole
/// state, the newest or the one before; it can be read on any number of ranks.
class PanelStore {
public:
    /// `recipe` says what the iteration is: a state left by another one is given up.
    PanelStore(const mpi::Communicator& comm, std::filesystem::path directory, std::string recipe);

    const std::filesystem::path& directory() const { return directory_; }
    /// Writes this rank's rows [first_row, first_row + panel.rows()); returns the panel's full name.
    /// Collective.
    std::string write_panel(const std::string& name, const dense::TallMatrix& panel, std::int64_t first_row);
    /// Some rows of a panel, whatever ranks wrote them. Collective. Throws `Error` naming a damaged file.
    dense::TallMatrix read_panel(const std::string& name, std::int64_t first_row, std::int64_t rows) const;
    /// The panels that `state` names become the checkpoint; all others are removed. Collective.
    void commit(const StoredState& state);
    /// What was committed last under this recipe. Collective. Throws `Error` when it is damaged.
    std::optional<StoredState> state() const;

private:
    const mpi::Communicator& comm_;
    std::filesystem::path directory_;
    std::string recipe_;
};

}  // namespace eckart::svd
