#include "eckart/svd/panel_store.hpp"

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "eckart/mpi/agree.hpp"

#include <algorithm>
#include <span>

#include <nlohmann/json.hpp>

namespace eckart::svd {

namespace fs = std::filesystem;

namespace {

constexpr const char* state_name = "state.h5";

fs::path file_of(const fs::path& directory, const std::string& panel, int rank) {
    return directory / fmt::format("{}.{:05}.h5", panel, rank);
}

/// "basis-00003.4": written by four ranks.
int writers_of(const std::string& panel) {
    return std::stoi(panel.substr(panel.rfind('.') + 1));
}

void require_digest(const io::Hdf5File& file, const Digest& digest) {
    require(file.text_attribute("/", "digest") == digest.hex(),
            "{} is not the checkpoint that was written (its digest differs): remove {} to begin anew",
            file.path().string(), file.path().parent_path().string());
}

Digest digest_of(const StoredState& state, const std::string& recipe) {
    Hasher hasher;
    hasher.add(recipe).add(nlohmann::json(state.panels).dump());
    hasher.add(std::as_bytes(std::span(state.counts)));
    for (const auto& list : state.numbers) hasher.add(std::as_bytes(std::span(list)));
    return hasher.digest();
}

void write_state(const fs::path& path, const StoredState& state, const std::string& recipe) {
    io::PendingFile pending(path);
    io::Hdf5File file = io::Hdf5File::create(pending.partial());
    file.set_attribute("/", "recipe", recipe);
    file.set_attribute("/", "panels", nlohmann::json(state.panels).dump());
    file.set_attribute("/", "lists", static_cast<std::int64_t>(state.numbers.size()));
    file.write("counts", state.counts);
    for (std::size_t i = 0; i < state.numbers.size(); ++i)
        file.write(fmt::format("numbers-{}", i), state.numbers[i]);
    file.set_attribute("/", "digest", digest_of(state, recipe).hex());
    file.close();
    pending.commit();
}

StoredState read_state(const io::Hdf5File& file) {
    StoredState state;
    state.panels = nlohmann::json::parse(file.text_attribute("/", "panels")).get<std::vector<std::string>>();
    state.counts = file.read<std::int64_t>("counts");
    for (std::int64_t i = 0; i < file.attribute<std::int64_t>("/", "lists"); ++i)
        state.numbers.push_back(file.read<double>(fmt::format("numbers-{}", i)));
    require_digest(file, digest_of(state, file.text_attribute("/", "recipe")));
    return state;
}

/// Copies the rows that [first, first + panel.rows()) and the file have in common; returns how many.
std::int64_t read_rows(const io::Hdf5File& file, std::int64_t first, dense::TallMatrix& panel) {
    const auto begin = file.attribute<std::int64_t>("/", "first_row");
    const std::int64_t rows = file.shape("values").at(1);
    const std::int64_t from = std::max(first, begin), to = std::min(first + panel.rows(), begin + rows);
    if (from >= to) return 0;
    const std::vector<double> values = file.read<double>("values");
    require_digest(file, eckart::digest_of(std::span<const double>(values)));
    for (std::int64_t j = 0; j < panel.columns(); ++j)
        std::copy_n(values.data() + j * rows + (from - begin), to - from, panel.column(j) + (from - first));
    return to - from;
}

}  // namespace

PanelStore::PanelStore(const mpi::Communicator& comm, fs::path directory, std::string recipe)
    : comm_(comm), directory_(std::move(directory)), recipe_(std::move(recipe)) {
    mpi::agree(comm_, [&] {
        if (comm_.is_root()) io::make_directory(directory_);
    });
}

std::string PanelStore::write_panel(const std::string& name, const dense::TallMatrix& panel,
                                    std::int64_t first_row) {
    const std::string full = fmt::format("{}.{}", name, comm_.size());
    mpi::agree(comm_, [&] {
        io::PendingFile pending(file_of(directory_, full, comm_.rank()));
        io::Hdf5File file = io::Hdf5File::create(pending.partial());
        file.write("values", panel.values(), {panel.columns(), panel.rows()});
        file.set_attribute("/", "first_row", first_row);
        file.set_attribute("/", "digest", eckart::digest_of(panel.values()).hex());
        file.close();
        pending.commit();
    });
    return full;
}

dense::TallMatrix PanelStore::read_panel(const std::string& name, std::int64_t first_row,
                                         std::int64_t rows) const {
    dense::TallMatrix panel(rows);
    mpi::agree(comm_, [&] {
        std::int64_t found = 0;
        for (int rank = 0; rank < writers_of(name); ++rank) {
            const io::Hdf5File file = io::Hdf5File::open(file_of(directory_, name, rank));
            if (rank == 0) panel = dense::TallMatrix(rows, file.shape("values").at(0));
            found += read_rows(file, first_row, panel);
        }
        require(found == rows, "{}: the panel {} of the checkpoint holds {} of {} rows", directory_.string(),
                name, found, rows);
    });
    return panel;
}

void PanelStore::commit(const StoredState& state) {
    mpi::agree(comm_, [&] {
        if (!comm_.is_root()) return;
        write_state(directory_ / state_name, state, recipe_);
        for (const auto& entry : fs::directory_iterator(directory_)) {
            const std::string file = entry.path().filename().string();
            const bool needed = file == state_name || std::any_of(state.panels.begin(), state.panels.end(),
                                                                  [&](const std::string& panel) {
                                                                      return file.starts_with(panel + ".");
                                                                  });
            if (!needed) fs::remove(entry.path());
        }
    });
}

std::optional<StoredState> PanelStore::state() const {
    std::optional<StoredState> result;
    mpi::agree(comm_, [&] {
        if (!fs::exists(directory_ / state_name)) return;
        const io::Hdf5File file = io::Hdf5File::open(directory_ / state_name);
        if (file.text_attribute("/", "recipe") == recipe_) result = read_state(file);
    });
    return result;
}

}  // namespace eckart::svd
