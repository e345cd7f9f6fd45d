#include "eckart/svd/gram_checkpoint.hpp"

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <string>

namespace eckart::svd {

namespace fs = std::filesystem;

namespace {

constexpr const char* manifest_name = "manifest.json";
constexpr const char* format_name = "eckart-cross-product";
constexpr int format_version = 2;

template <typename T>
void write_checked(io::Hdf5File& file, const std::string& name, const std::vector<T>& values) {
    file.write(name, values);
    file.set_attribute(name, "digest", digest_of(std::span<const T>(values)).hex());
}

template <typename T>
std::vector<T> read_checked(const io::Hdf5File& file, const std::string& name) {
    std::vector<T> values = file.read<T>(name);
    require(file.text_attribute(name, "digest") == digest_of(std::span<const T>(values)).hex(),
            "{}: {} is not what was written (its digest differs)", file.path().string(), name);
    return values;
}

std::string strip_name(std::int64_t component, std::int64_t number) {
    return fmt::format("component_{}/strip_{}", component, number);
}

/// What the manifest says beside the recipe: how the strips lie on the files.
struct Layout {
    std::int64_t files = 0;
    std::vector<std::int64_t> widths;  ///< of each large component's blocks of columns

    std::int64_t file_of(std::int64_t component, std::int64_t column) const {
        return column / widths.at(static_cast<std::size_t>(component)) % files;
    }
};

/// Null when there is no whole manifest.
nlohmann::json read_manifest(const fs::path& directory) {
    if (!fs::exists(directory / manifest_name)) return nullptr;
    const auto json = nlohmann::json::parse(io::read_file(directory / manifest_name), nullptr, false);
    const bool ours = json.is_object() && json.value("format", "") == format_name &&
                      json.value("format_version", 0) == format_version;
    return ours ? json : nlohmann::json(nullptr);
}

Layout layout_of(const fs::path& directory) {
    const nlohmann::json json = read_manifest(directory);
    require(!json.is_null(), "there is no whole cross product in {}", directory.string());
    return {json.at("files").get<std::int64_t>(), json.at("widths").get<std::vector<std::int64_t>>()};
}

/// The strip that begins at a column, copied from or to the block that holds it.
template <typename T, typename Copy>
void for_each_column(const dense::SymmetricColumns<T>& matrix, std::int64_t first, Copy copy) {
    const std::int64_t rows = matrix.padded_size() - first;
    for (std::int64_t c = 0; c < dense::SymmetricColumns<T>::band; ++c) copy(first + c, c * rows, rows);
}

template <typename T>
std::vector<T> strip_of(const dense::SymmetricColumns<T>& matrix, std::int64_t first) {
    std::vector<T> strip(
        static_cast<std::size_t>((matrix.padded_size() - first) * dense::SymmetricColumns<T>::band));
    for_each_column(matrix, first, [&](std::int64_t column, std::int64_t at, std::int64_t rows) {
        std::copy_n(matrix.at(first, column), rows, strip.data() + at);
    });
    return strip;
}

void write_components(io::Hdf5File& file, const Components& components) {
    file.create_group("components");
    write_checked(file, "components/number", components.number);
    write_checked(file, "components/position", components.position);
    write_checked(file, "components/sizes", components.sizes);
    write_checked(file, "components/isolated_eigenvalues", components.isolated_eigenvalues);
    file.set_attribute("components", "longest_sum", components.longest_sum);
}

}  // namespace

template <typename T>
fs::path GramCheckpoint<T>::file(std::int64_t number) const {
    return directory_ / fmt::format("columns-{:05}.h5", number);
}

template <typename T>
bool GramCheckpoint<T>::exists(const mpi::Communicator& comm) const {
    bool found = false;
    mpi::agree(comm, [&] {
        if (!comm.is_root()) return;
        const nlohmann::json json = read_manifest(directory_);
        found = !json.is_null() && json.value("recipe", nlohmann::json()) == recipe_;
    });
    return mpi::broadcast(comm, found);
}

template <typename T>
void GramCheckpoint<T>::write_own(const mpi::Communicator& comm, const Components& components,
                                  const CrossProduct<T>& gram) const {
    io::PendingFile pending(file(comm.rank()));
    io::Hdf5File out = io::Hdf5File::create(pending.partial());
    if (comm.is_root()) write_components(out, components);
    for (std::size_t c = 0; c < gram.large.size(); ++c) {
        const dense::SymmetricColumns<T>& matrix = gram.large[c];
        out.create_group(fmt::format("component_{}", c));
        for (std::int64_t first = 0; first < matrix.padded_size(); first += band)
            if (matrix.is_mine(matrix.block_of(first)))
                write_checked(out, strip_name(static_cast<std::int64_t>(c), first / band),
                              strip_of(matrix, first));
    }
    std::vector<T> small;
    for (const LocalComponent<T>& local : gram.small)
        small.insert(small.end(), local.values.begin(), local.values.end());
    write_checked(out, "small", small);
    out.close();
    pending.commit();
}

template <typename T>
void GramCheckpoint<T>::write(const mpi::Communicator& comm, const Components& components,
                              const CrossProduct<T>& gram) const {
    mpi::agree(comm, [&] {
        if (!comm.is_root()) return;
        remove_gram_checkpoint(directory_);
        io::make_directory(directory_);
    });
    mpi::agree(comm, [&] { write_own(comm, components, gram); });
    mpi::agree(comm, [&] {
        if (!comm.is_root()) return;
        std::vector<std::int64_t> widths;
        for (const auto& matrix : gram.large) widths.push_back(matrix.width());
        const nlohmann::json json{{"format", format_name},
                                  {"format_version", format_version},
                                  {"recipe", recipe_},
                                  {"files", comm.size()},
                                  {"widths", widths}};
        io::write_file(directory_ / manifest_name, json.dump(1) + "\n");
    });
}

template <typename T>
Components GramCheckpoint<T>::read_components(const mpi::Communicator& comm) const {
    Components result;
    mpi::agree(comm, [&] {
        const io::Hdf5File in = io::Hdf5File::open(file(0));
        result.number = read_checked<std::int32_t>(in, "components/number");
        result.position = read_checked<std::int32_t>(in, "components/position");
        result.sizes = read_checked<std::int64_t>(in, "components/sizes");
        result.isolated_eigenvalues = read_checked<double>(in, "components/isolated_eigenvalues");
        result.longest_sum = in.attribute<std::int64_t>("components", "longest_sum");
    });
    return result;
}

template <typename T>
std::vector<T> GramCheckpoint<T>::strip(std::int64_t component, std::int64_t number) const {
    const Layout layout = layout_of(directory_);
    return read_checked<T>(io::Hdf5File::open(file(layout.file_of(component, number * band))),
                           strip_name(component, number));
}

template <typename T>
CrossProduct<T> GramCheckpoint<T>::read(const mpi::Communicator& comm, const Components& components) const {
    CrossProduct<T> gram = zero_cross_product<T>(comm, components);
    mpi::agree(comm, [&] {
        for (std::size_t c = 0; c < gram.large.size(); ++c) {
            dense::SymmetricColumns<T>& matrix = gram.large[c];
            for (std::int64_t first = 0; first < matrix.padded_size(); first += band) {
                if (!matrix.is_mine(matrix.block_of(first))) continue;
                const std::vector<T> values = strip(static_cast<std::int64_t>(c), first / band);
                for_each_column(matrix, first, [&](std::int64_t column, std::int64_t at, std::int64_t rows) {
                    std::copy_n(values.data() + at, rows, matrix.at(first, column));
                });
            }
        }
        // Small component s was written by rank s mod files, one behind the other.
        const std::int64_t files = layout_of(directory_).files;
        for (std::int64_t number = 0; number < files; ++number) {
            const auto values = read_checked<T>(io::Hdf5File::open(file(number)), "small");
            std::int64_t at = 0;
            for (std::size_t s = static_cast<std::size_t>(number); s < gram.small.size();
                 s += static_cast<std::size_t>(files)) {
                LocalComponent<T>& local = gram.small[s];
                if (!local.values.empty())
                    std::copy_n(values.data() + at, local.values.size(), local.values.data());
                at += local.size * local.size;
            }
        }
    });
    return gram;
}

template class GramCheckpoint<double>;
template class GramCheckpoint<float>;

void remove_gram_checkpoint(const fs::path& directory) {
    std::error_code error;
    fs::remove(directory / manifest_name, error);  // first: what is left is not taken for whole
    fs::remove_all(directory, error);
    require(!error, "cannot remove {}: {}", directory.string(), error.message());
}

}  // namespace eckart::svd
