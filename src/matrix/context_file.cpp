#include "eckart/matrix/context_file.hpp"

#include "eckart/base/error.hpp"
#include "eckart/matrix/manifest.hpp"

#include <algorithm>
#include <string>

namespace eckart::matrix {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t group_nonzeros = std::size_t{1} << 20;
constexpr const char* file_format = "eckart-matrix-contexts";

void dump_group(const io::Hdf5File& file, const std::string& group, std::ostream& out) {
    const auto contexts = file.read<std::int32_t>(group + "/context");
    const auto indices = file.read<std::int32_t>(group + "/indices");
    const auto data = file.read<std::uint64_t>(group + "/data");
    const auto indptr = file.read<std::int64_t>(group + "/indptr");
    const std::size_t rows = indptr.size() - 1, width = contexts.size() / std::max<std::size_t>(rows, 1);
    for (std::size_t row = 0; row < rows; ++row) {
        std::string context;
        for (std::size_t i = 0; i < width; ++i) context += fmt::format("{} ", contexts[row * width + i]);
        for (auto at = static_cast<std::size_t>(indptr[row]); at < static_cast<std::size_t>(indptr[row + 1]);
             ++at)
            out << context << indices[at] << '\t' << data[at] << '\n';
    }
}

}  // namespace

ContextFileWriter::ContextFileWriter(const fs::path& directory, int rank, int order, std::int64_t vocabulary)
    : pending_(directory / fmt::format("contexts-{:05}.h5", rank)),
      file_(io::Hdf5File::create(pending_.partial())),
      order_(order),
      vocabulary_(vocabulary) {
    file_.set_attribute("/", "format", file_format);
    file_.set_attribute("/", "format_version", std::int64_t{1});
}

void ContextFileWriter::visit(std::span<const std::uint32_t> context,
                              std::span<const std::uint32_t> successors,
                              std::span<const std::uint64_t> counts) {
    contexts_.insert(contexts_.end(), context.begin(), context.end());
    indices_.insert(indices_.end(), successors.begin(), successors.end());
    data_.insert(data_.end(), counts.begin(), counts.end());
    indptr_.push_back(static_cast<std::int64_t>(indices_.size()));
    if (indices_.size() >= group_nonzeros) write_group();
}

void ContextFileWriter::write_group() {
    const auto rows = static_cast<std::int64_t>(indptr_.size()) - 1;
    if (rows == 0) return;
    const std::string group = fmt::format("contexts_{:06}", groups_++);
    const io::DatasetOptions packed{.deflate_level = 1};
    file_.create_group(group);
    file_.write(group + "/context", contexts_, {rows, order_ - 1}, packed);
    file_.write(group + "/indices", indices_, {}, packed);
    file_.write(group + "/data", data_, {}, packed);
    file_.write(group + "/indptr", indptr_, {}, packed);
    file_.write(group + "/shape", std::vector<std::int64_t>{rows, vocabulary_});
    contexts_.clear();
    indices_.clear();
    data_.clear();
    indptr_.assign(1, 0);
}

void ContextFileWriter::commit() {
    write_group();
    file_.close();
    pending_.commit();
}

void dump_counts(const fs::path& directory, std::ostream& out) {
    read_manifest(directory);
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("contexts-") && name.ends_with(".h5")) files.push_back(entry.path());
    }
    require(!files.empty(), "{} holds merged rows only: make the matrix with --keep-contexts",
            directory.string());
    std::sort(files.begin(), files.end());
    for (const fs::path& path : files) {
        const io::Hdf5File file = io::Hdf5File::open(path);
        for (const std::string& group : file.members("/")) dump_group(file, group, out);
    }
    out.flush();
    require(static_cast<bool>(out), "the counts of {} could not all be written", directory.string());
}

}  // namespace eckart::matrix
