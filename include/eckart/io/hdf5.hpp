#pragma once

#include "eckart/base/error.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// HDF5 files, one writer each, through the C API. Every call is checked and names the file; one transfer
/// moves at most 1 GiB. Destructors close in silence: call `File::close()` to be told of a failing close.
namespace eckart::io {

/// Element types a dataset or an attribute may have.
template <typename T>
concept Hdf5Number = std::is_same_v<T, double> || std::is_same_v<T, float> ||
    std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::uint64_t> || std::is_same_v<T, std::int32_t> ||
    std::is_same_v<T, std::uint32_t> || std::is_same_v<T, std::uint16_t> || std::is_same_v<T, std::uint8_t>;

/// An HDF5 id (hid_t is a 64-bit integer) and the call that releases it.
class Hdf5Id {
public:
    using Close = int (*)(std::int64_t);
    Hdf5Id() = default;
    Hdf5Id(std::int64_t id, Close close) : id_(id), close_(close) {}
    ~Hdf5Id() { reset(); }
    Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
    Hdf5Id& operator=(Hdf5Id&& other) noexcept;
    std::int64_t get() const { return id_; }
    /// Closes now; negative when HDF5 says that it failed.
    int reset();

private:
    std::int64_t id_ = -1;
    Close close_ = nullptr;
};

/// How a dataset lies in the file: contiguous, or in chunks compressed by HDF5's own shuffle and deflate
/// filters, with a checksum each (any reader has them).
struct DatasetOptions {
    int deflate_level = 0;  ///< 0 is contiguous
    std::int64_t chunk_elements = std::int64_t{1} << 18;
};

class Hdf5File {
public:
    /// Throws `Error` naming the path and the system's cause.
    static Hdf5File create(const std::filesystem::path& path);
    static Hdf5File open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    /// Flushes and closes, throwing when either fails (a full disk is often first noticed here).
    void close();

    /// Makes a group and its parents.
    void create_group(const std::string& group);
    bool exists(const std::string& object) const;
    /// Names of the members of a group, in alphabetical order.
    std::vector<std::string> members(const std::string& group) const;

    /// A whole dataset of one or more dimensions, row-major.
    template <Hdf5Number T>
    void write(const std::string& dataset, std::span<const T> values, std::vector<std::int64_t> shape = {},
               DatasetOptions options = {});
    template <Hdf5Number T>
    void write(const std::string& dataset, const std::vector<T>& values, std::vector<std::int64_t> shape = {},
               DatasetOptions options = {}) {
        write(dataset, std::span<const T>(values), std::move(shape), options);
    }
    void write_strings(const std::string& dataset, const std::vector<std::string>& values);
    /// An empty dataset to be filled by `write_part`.
    template <Hdf5Number T>
    void reserve(const std::string& dataset, std::vector<std::int64_t> shape, DatasetOptions options = {});
    /// Elements [offset, offset + values.size()) of a dataset, counted row-major in one dimension, or whole
    /// rows of two.
    template <Hdf5Number T>
    void write_part(const std::string& dataset, std::int64_t offset, std::span<const T> values);

    std::vector<std::int64_t> shape(const std::string& dataset) const;
    /// Bytes of one element as stored.
    std::int64_t element_bytes(const std::string& dataset) const;
    /// Values are converted from the stored type when it differs; all of T's values must be able to hold
    /// them.
    template <Hdf5Number T>
    std::vector<T> read(const std::string& dataset) const;
    /// `out.size()` elements from `offset`: along one dimension, or whole rows of two.
    template <Hdf5Number T>
    void read_part(const std::string& dataset, std::int64_t offset, std::span<T> out) const;
    std::vector<std::string> read_strings(const std::string& dataset) const;

    /// Attributes of an object ("/" is the file).
    template <Hdf5Number T>
    void set_attribute(const std::string& object, const std::string& name, T value);
    template <Hdf5Number T>
    void set_attribute(const std::string& object, const std::string& name, std::span<const T> values);
    void set_attribute(const std::string& object, const std::string& name, const std::string& value);
    void set_attribute(const std::string& object, const std::string& name, const char* value) {
        set_attribute(object, name, std::string(value));
    }
    bool has_attribute(const std::string& object, const std::string& name) const;
    template <Hdf5Number T>
    T attribute(const std::string& object, const std::string& name) const;
    std::string text_attribute(const std::string& object, const std::string& name) const;

private:
    Hdf5File(std::filesystem::path path, Hdf5Id id) : path_(std::move(path)), id_(std::move(id)) {}
    std::int64_t verified(std::int64_t code, const char* what, const std::string& object) const;
    void write_raw(std::int64_t dataset, std::int64_t type, std::int64_t element_bytes, const void* data,
                   std::int64_t offset, std::int64_t count, const std::string& name) const;
    void read_raw(const std::string& name, std::int64_t type, std::int64_t element_bytes, void* data,
                  std::int64_t offset, std::int64_t count) const;
    Hdf5Id create_dataset(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape,
                          const DatasetOptions& options);

    std::filesystem::path path_;
    Hdf5Id id_;
};

/// Bytes one HDF5 transfer may move (1 GiB); lowered by tests.
std::int64_t hdf5_transfer_bytes();
void set_hdf5_transfer_bytes(std::int64_t bytes);

}  // namespace eckart::io
