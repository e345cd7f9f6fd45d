#include "eckart/io/hdf5.hpp"

#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <mutex>
#include <numeric>

#include <hdf5.h>

namespace eckart::io {

namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>);

std::int64_t transfer_limit = std::int64_t{1} << 30;

template <Hdf5Number T>
hid_t memory_type() {
    if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
    if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
    if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
    if constexpr (std::is_same_v<T, std::uint64_t>) return H5T_NATIVE_UINT64;
    if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
    if constexpr (std::is_same_v<T, std::uint32_t>) return H5T_NATIVE_UINT32;
    if constexpr (std::is_same_v<T, std::uint16_t>) return H5T_NATIVE_UINT16;
    if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}

template <herr_t (*close)(hid_t)>
int close_with(std::int64_t id) {
    return close(id);
}
constexpr Hdf5Id::Close close_file = close_with<H5Fclose>, close_group = close_with<H5Gclose>,
                        close_data = close_with<H5Dclose>, close_space = close_with<H5Sclose>,
                        close_type = close_with<H5Tclose>, close_list = close_with<H5Pclose>,
                        close_attribute = close_with<H5Aclose>, close_object = close_with<H5Oclose>;

/// HDF5 keeps its state in globals, and Debian's build is not made for threads: one call at a time.
/// Recursive, because an id may be released inside a guarded call.
std::recursive_mutex& library_mutex() {
    static std::recursive_mutex mutex;
    return mutex;
}
using Guard = std::scoped_lock<std::recursive_mutex>;

/// What HDF5 says of a failed system call, in one line: the system's own message within it.
std::string system_message(const std::string& description) {
    constexpr std::string_view before = "error message = '";
    const std::size_t begin = description.find(before);
    if (begin == std::string::npos) return description.substr(0, description.find('\n'));
    const std::size_t from = begin + before.size();
    return description.substr(from, description.find('\'', from) - from);
}

/// The first, most telling line of HDF5's error stack.
std::string hdf5_cause() {
    std::string text;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
            auto& found = *static_cast<std::string*>(out);
            if (found.empty() && error->desc != nullptr) found = error->desc;
            return 0;
        },
        &text);
    return text.empty() ? "" : ": " + system_message(text);
}

std::int64_t product(const std::vector<std::int64_t>& shape) {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<hsize_t> dimensions_of(hid_t space) {
    std::vector<hsize_t> shape(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space))));
    H5Sget_simple_extent_dims(space, shape.data(), nullptr);
    return shape;
}

/// Selects `count` elements from `offset` of a dataset's file space (whole rows when it has two dimensions).
void select_part(hid_t space, std::int64_t offset, std::int64_t count) {
    std::vector<hsize_t> shape = dimensions_of(space), start(shape.size(), 0);
    if (shape.empty()) return;
    hsize_t row = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) row *= shape[i];
    start[0] = static_cast<hsize_t>(offset) / row;
    shape[0] = static_cast<hsize_t>(count) / row;
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, shape.data(), nullptr);
}

std::int64_t row_elements(hid_t space) {
    const std::vector<hsize_t> shape = dimensions_of(space);
    std::int64_t row = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) row *= static_cast<std::int64_t>(shape[i]);
    return row;
}

/// Calls `part(offset, count)` over [0, total) so that none exceeds the transfer limit; parts are whole rows.
template <typename Part>
void in_transfers(std::int64_t total, std::int64_t row, std::int64_t element_bytes, Part part) {
    const std::int64_t step =
        std::max<std::int64_t>(1, transfer_limit / element_bytes / std::max<std::int64_t>(row, 1)) *
        std::max<std::int64_t>(row, 1);
    for (std::int64_t done = 0; done < total; done += step) part(done, std::min(step, total - done));
}

}  // namespace

std::int64_t hdf5_transfer_bytes() {
    return transfer_limit;
}
void set_hdf5_transfer_bytes(std::int64_t bytes) {
    transfer_limit = bytes;
}

Hdf5Id& Hdf5Id::operator=(Hdf5Id&& other) noexcept {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
    return *this;
}

int Hdf5Id::reset() {
    const Guard guard(library_mutex());
    return id_ >= 0 ? close_(std::exchange(id_, -1)) : 0;
}

std::int64_t Hdf5File::verified(std::int64_t code, const char* what, const std::string& object) const {
    if (code >= 0) return code;
    const std::string cause = hdf5_cause();
    const std::string space = cause.find("No space left") != std::string::npos ? cause_of(ENOSPC, path_) : "";
    throw Error("cannot {} {} in {}{}{}", what, object, path_.string(), cause, space);
}

Hdf5File Hdf5File::create(const std::filesystem::path& path) {
    const Guard guard(library_mutex());
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    // From version 1.10 on all of the file's own structures have checksums: HDF5 follows damaged ones
    // otherwise, out of its buffers too.
    const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), close_list);
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
    const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get());
    require(id >= 0, "cannot create {}{}", path.string(), hdf5_cause());
    return {path, Hdf5Id(id, close_file)};
}

Hdf5File Hdf5File::open(const std::filesystem::path& path) {
    const Guard guard(library_mutex());
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    require(std::filesystem::exists(path), "there is no file {}", path.string());
    const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    require(id >= 0, "{} is not a readable HDF5 file{}", path.string(), hdf5_cause());
    return {path, Hdf5Id(id, close_file)};
}

void Hdf5File::close() {
    const Guard guard(library_mutex());
    verified(H5Fflush(id_.get(), H5F_SCOPE_GLOBAL), "flush", "the file");
    verified(id_.reset(), "close", "the file");
}

void Hdf5File::create_group(const std::string& group) {
    const Guard guard(library_mutex());
    Hdf5Id list(H5Pcreate(H5P_LINK_CREATE), close_list);
    H5Pset_create_intermediate_group(list.get(), 1);
    Hdf5Id id(verified(H5Gcreate2(id_.get(), group.c_str(), list.get(), H5P_DEFAULT, H5P_DEFAULT),
                       "make group", group),
              close_group);
}

bool Hdf5File::exists(const std::string& object) const {
    const Guard guard(library_mutex());
    return H5Lexists(id_.get(), object.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Hdf5File::members(const std::string& group) const {
    const Guard guard(library_mutex());
    std::vector<std::string> names;
    Hdf5Id id(verified(H5Gopen2(id_.get(), group.c_str(), H5P_DEFAULT), "open group", group), close_group);
    const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
    };
    verified(H5Literate(id.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names), "list group", group);
    return names;
}

Hdf5Id Hdf5File::create_dataset(const std::string& name, std::int64_t type,
                                const std::vector<std::int64_t>& shape, const DatasetOptions& options) {
    const std::vector<hsize_t> extent(shape.begin(), shape.end());
    Hdf5Id space(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), close_space);
    Hdf5Id links(H5Pcreate(H5P_LINK_CREATE), close_list), layout(H5Pcreate(H5P_DATASET_CREATE), close_list);
    H5Pset_create_intermediate_group(links.get(), 1);
    if (options.deflate_level > 0 && product(shape) > 0) {
        std::vector<hsize_t> chunk = extent;
        const hsize_t row = static_cast<hsize_t>(row_elements(space.get()));
        chunk[0] = std::clamp<hsize_t>(
            static_cast<hsize_t>(options.chunk_elements) / std::max<hsize_t>(row, 1), 1, extent[0]);
        H5Pset_chunk(layout.get(), static_cast<int>(chunk.size()), chunk.data());
        H5Pset_shuffle(layout.get());
        H5Pset_deflate(layout.get(), static_cast<unsigned>(options.deflate_level));
        H5Pset_fletcher32(layout.get());  // checked before the chunk is inflated
    }
    return {verified(H5Dcreate2(id_.get(), name.c_str(), type, space.get(), links.get(), layout.get(),
                                H5P_DEFAULT),
                     "make dataset", name),
            close_data};
}

void Hdf5File::write_raw(std::int64_t dataset, std::int64_t type, std::int64_t element_bytes,
                         const void* data, std::int64_t offset, std::int64_t count,
                         const std::string& name) const {
    Hdf5Id space(H5Dget_space(dataset), close_space);
    in_transfers(count, row_elements(space.get()), element_bytes, [&](std::int64_t done, std::int64_t now) {
        const auto extent = static_cast<hsize_t>(now);
        Hdf5Id memory(H5Screate_simple(1, &extent, nullptr), close_space);
        select_part(space.get(), offset + done, now);
        verified(H5Dwrite(dataset, type, memory.get(), space.get(), H5P_DEFAULT,
                          static_cast<const std::byte*>(data) + done * element_bytes),
                 "write", name);
    });
}

void Hdf5File::read_raw(const std::string& name, std::int64_t type, std::int64_t element_bytes, void* data,
                        std::int64_t offset, std::int64_t count) const {
    Hdf5Id dataset(verified(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), "open dataset", name),
                   close_data);
    Hdf5Id space(H5Dget_space(dataset.get()), close_space);
    const std::int64_t held = H5Sget_simple_extent_npoints(space.get());
    require(offset >= 0 && count >= 0 && offset <= held - count, "{} in {} holds {} elements, not [{}, {})",
            name, path_.string(), held, offset, offset + count);
    in_transfers(count, row_elements(space.get()), element_bytes, [&](std::int64_t done, std::int64_t now) {
        const auto extent = static_cast<hsize_t>(now);
        Hdf5Id memory(H5Screate_simple(1, &extent, nullptr), close_space);
        select_part(space.get(), offset + done, now);
        verified(H5Dread(dataset.get(), type, memory.get(), space.get(), H5P_DEFAULT,
                         static_cast<std::byte*>(data) + done * element_bytes),
                 "read", name);
    });
}

template <Hdf5Number T>
void Hdf5File::write(const std::string& dataset, std::span<const T> values, std::vector<std::int64_t> shape,
                     DatasetOptions options) {
    const Guard guard(library_mutex());
    if (shape.empty()) shape = {static_cast<std::int64_t>(values.size())};
    require(product(shape) == static_cast<std::int64_t>(values.size()), "{}: {} values do not fill the shape",
            dataset, values.size());
    const Hdf5Id id = create_dataset(dataset, memory_type<T>(), shape, options);
    write_raw(id.get(), memory_type<T>(), sizeof(T), values.data(), 0,
              static_cast<std::int64_t>(values.size()), dataset);
}

template <Hdf5Number T>
void Hdf5File::reserve(const std::string& dataset, std::vector<std::int64_t> shape, DatasetOptions options) {
    const Guard guard(library_mutex());
    create_dataset(dataset, memory_type<T>(), shape, options);
}

template <Hdf5Number T>
void Hdf5File::write_part(const std::string& dataset, std::int64_t offset, std::span<const T> values) {
    const Guard guard(library_mutex());
    Hdf5Id id(verified(H5Dopen2(id_.get(), dataset.c_str(), H5P_DEFAULT), "open dataset", dataset),
              close_data);
    write_raw(id.get(), memory_type<T>(), sizeof(T), values.data(), offset,
              static_cast<std::int64_t>(values.size()), dataset);
}

std::vector<std::int64_t> Hdf5File::shape(const std::string& dataset) const {
    const Guard guard(library_mutex());
    Hdf5Id id(verified(H5Dopen2(id_.get(), dataset.c_str(), H5P_DEFAULT), "open dataset", dataset),
              close_data);
    Hdf5Id space(H5Dget_space(id.get()), close_space);
    const std::vector<hsize_t> extent = dimensions_of(space.get());
    return {extent.begin(), extent.end()};
}

std::int64_t Hdf5File::element_bytes(const std::string& dataset) const {
    const Guard guard(library_mutex());
    Hdf5Id id(verified(H5Dopen2(id_.get(), dataset.c_str(), H5P_DEFAULT), "open dataset", dataset),
              close_data);
    Hdf5Id type(H5Dget_type(id.get()), close_type);
    return static_cast<std::int64_t>(H5Tget_size(type.get()));
}

template <Hdf5Number T>
std::vector<T> Hdf5File::read(const std::string& dataset) const {
    const Guard guard(library_mutex());
    std::vector<T> values(static_cast<std::size_t>(product(shape(dataset))));
    read_part(dataset, 0, std::span<T>(values));
    return values;
}

template <Hdf5Number T>
void Hdf5File::read_part(const std::string& dataset, std::int64_t offset, std::span<T> out) const {
    const Guard guard(library_mutex());
    read_raw(dataset, memory_type<T>(), sizeof(T), out.data(), offset, static_cast<std::int64_t>(out.size()));
}

namespace {
/// The type of variable-length UTF-8 text.
Hdf5Id text_type() {
    Hdf5Id type(H5Tcopy(H5T_C_S1), close_type);
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    return type;
}
}  // namespace

void Hdf5File::write_strings(const std::string& dataset, const std::vector<std::string>& values) {
    const Guard guard(library_mutex());
    const Hdf5Id type = text_type();
    const Hdf5Id id = create_dataset(dataset, type.get(), {static_cast<std::int64_t>(values.size())}, {});
    std::vector<const char*> texts(values.size());
    std::transform(values.begin(), values.end(), texts.begin(),
                   [](const std::string& text) { return text.c_str(); });
    verified(H5Dwrite(id.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()), "write", dataset);
}

std::vector<std::string> Hdf5File::read_strings(const std::string& dataset) const {
    const Guard guard(library_mutex());
    const Hdf5Id type = text_type();
    std::vector<char*> texts(static_cast<std::size_t>(product(shape(dataset))));
    Hdf5Id id(verified(H5Dopen2(id_.get(), dataset.c_str(), H5P_DEFAULT), "open dataset", dataset),
              close_data);
    Hdf5Id space(H5Dget_space(id.get()), close_space);
    verified(H5Dread(id.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()), "read", dataset);
    std::vector<std::string> values;
    for (const char* text : texts) values.emplace_back(text == nullptr ? "" : text);
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, texts.data());
    return values;
}

namespace {
Hdf5Id open_object(std::int64_t file, const std::string& object) {
    return {H5Oopen(file, object.c_str(), H5P_DEFAULT), close_object};
}
}  // namespace

template <Hdf5Number T>
void Hdf5File::set_attribute(const std::string& object, const std::string& name, std::span<const T> values) {
    const Guard guard(library_mutex());
    const Hdf5Id owner = open_object(id_.get(), object);
    const hsize_t extent = values.size();
    Hdf5Id space(H5Screate_simple(1, &extent, nullptr), close_space);
    Hdf5Id id(verified(H5Acreate2(owner.get(), name.c_str(), memory_type<T>(), space.get(), H5P_DEFAULT,
                                  H5P_DEFAULT),
                       "make attribute", name),
              close_attribute);
    verified(H5Awrite(id.get(), memory_type<T>(), values.data()), "write attribute", name);
}

template <Hdf5Number T>
void Hdf5File::set_attribute(const std::string& object, const std::string& name, T value) {
    const Guard guard(library_mutex());
    const Hdf5Id owner = open_object(id_.get(), object);
    Hdf5Id space(H5Screate(H5S_SCALAR), close_space);
    Hdf5Id id(verified(H5Acreate2(owner.get(), name.c_str(), memory_type<T>(), space.get(), H5P_DEFAULT,
                                  H5P_DEFAULT),
                       "make attribute", name),
              close_attribute);
    verified(H5Awrite(id.get(), memory_type<T>(), &value), "write attribute", name);
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name, const std::string& value) {
    const Guard guard(library_mutex());
    const Hdf5Id owner = open_object(id_.get(), object);
    const Hdf5Id type = text_type();
    Hdf5Id space(H5Screate(H5S_SCALAR), close_space);
    Hdf5Id id(
        verified(H5Acreate2(owner.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                 "make attribute", name),
        close_attribute);
    const char* text = value.c_str();
    verified(H5Awrite(id.get(), type.get(), &text), "write attribute", name);
}

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
    const Guard guard(library_mutex());
    return H5Aexists_by_name(id_.get(), object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

template <Hdf5Number T>
T Hdf5File::attribute(const std::string& object, const std::string& name) const {
    const Guard guard(library_mutex());
    T value{};
    Hdf5Id id(verified(H5Aopen_by_name(id_.get(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
                       "open attribute", name),
              close_attribute);
    verified(H5Aread(id.get(), memory_type<T>(), &value), "read attribute", name);
    return value;
}

std::string Hdf5File::text_attribute(const std::string& object, const std::string& name) const {
    const Guard guard(library_mutex());
    const Hdf5Id type = text_type();
    Hdf5Id id(verified(H5Aopen_by_name(id_.get(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
                       "open attribute", name),
              close_attribute);
    char* text = nullptr;
    verified(H5Aread(id.get(), type.get(), &text), "read attribute", name);
    const std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
}

#define ECKART_FOR_TYPE(T)                                                                             \
    template void Hdf5File::write(const std::string&, std::span<const T>, std::vector<std::int64_t>,   \
                                  DatasetOptions);                                                     \
    template void Hdf5File::reserve<T>(const std::string&, std::vector<std::int64_t>, DatasetOptions); \
    template void Hdf5File::write_part(const std::string&, std::int64_t, std::span<const T>);          \
    template std::vector<T> Hdf5File::read<T>(const std::string&) const;                               \
    template void Hdf5File::read_part(const std::string&, std::int64_t, std::span<T>) const;           \
    template void Hdf5File::set_attribute(const std::string&, const std::string&, T);                  \
    template void Hdf5File::set_attribute(const std::string&, const std::string&, std::span<const T>); \
    template T Hdf5File::attribute<T>(const std::string&, const std::string&) const;
ECKART_FOR_TYPE(double)
ECKART_FOR_TYPE(float)
ECKART_FOR_TYPE(std::int64_t)
ECKART_FOR_TYPE(std::uint64_t)
ECKART_FOR_TYPE(std::int32_t)
ECKART_FOR_TYPE(std::uint32_t)
ECKART_FOR_TYPE(std::uint16_t)
ECKART_FOR_TYPE(std::uint8_t)
#undef ECKART_FOR_TYPE

}  // namespace eckart::io
