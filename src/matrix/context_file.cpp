#include "eckart/matrix/context_file.hpp"

#include "eckart/base/error.hpp"
#include "eckart/matrix/matrix_reader.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <unordered_map>

namespace eckart::matrix {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t group_nonzeros = std::size_t{1} << 20;
constexpr const char* file_format = "eckart-matrix-contexts";
constexpr const char* pieces_name = "pieces";

/// A group of kept contexts.
struct ContextGroup {
    std::vector<std::int32_t> contexts, indices;
    std::vector<std::uint64_t> data;
    std::vector<std::int64_t> indptr;

    ContextGroup(const io::Hdf5File& file, const std::string& group)
        : contexts(file.read<std::int32_t>(group + "/context")),
          indices(file.read<std::int32_t>(group + "/indices")),
          data(file.read<std::uint64_t>(group + "/data")),
          indptr(file.read<std::int64_t>(group + "/indptr")) {}
    std::size_t rows() const { return indptr.size() - 1; }
    std::span<const std::int32_t> context(std::size_t row) const {
        const std::size_t width = contexts.size() / rows();
        return std::span(contexts).subspan(row * width, width);
    }
    /// Calls `visit(successor, count)` for each successor of a row.
    template <typename Visit>
    void for_each_successor(std::size_t row, Visit visit) const {
        for (auto at = static_cast<std::size_t>(indptr[row]); at < static_cast<std::size_t>(indptr[row + 1]);
             ++at)
            visit(indices[at], data[at]);
    }
};

std::vector<fs::path> context_files(const fs::path& directory) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("contexts-") && name.ends_with(".h5")) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// Calls `visit(group, row)` for the rows of all files until it returns false.
template <typename Visit>
void for_each_row(const std::vector<fs::path>& files, Visit visit) {
    for (const fs::path& path : files) {
        const io::Hdf5File file = io::Hdf5File::open(path);
        for (const std::string& name : file.members("/")) {
            if (name == pieces_name) continue;
            const ContextGroup group(file, name);
            for (std::size_t row = 0; row < group.rows(); ++row)
                if (!visit(group, row)) return;
        }
    }
}

/// The text of tokens, as far as it is known; else their numbers.
class TokenNames {
public:
    TokenNames(const Columns& columns, const std::vector<fs::path>& context_files) {
        for (std::size_t j = 0; j < columns.pieces.size(); ++j)
            pieces_.emplace(columns.token_ids[j], columns.pieces[j]);
        if (context_files.empty()) return;
        const io::Hdf5File file = io::Hdf5File::open(context_files.front());
        if (!file.exists(pieces_name)) return;
        for (std::int64_t token = 0; const std::string& piece : file.read_strings(pieces_name))
            pieces_.emplace(token++, piece);
    }
    std::string operator()(std::int64_t token) const {
        const auto piece = pieces_.find(token);
        if (piece == pieces_.end()) return fmt::format("#{}", token);
        return nlohmann::json(piece->second).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }

private:
    std::unordered_map<std::int64_t, std::string> pieces_;
};

/// A row of the merged matrix, for matrices without contexts.
void show_merged_rows(const MatrixReader& reader, const TokenNames& name, std::int64_t limit,
                      std::ostream& out) {
    const Columns& columns = reader.columns();
    for (std::size_t j = 0; j < columns.token_ids.size(); ++j) {
        if (columns.one_hot_multiplicity[j] == 0) continue;
        if (limit-- == 0) return;
        out << columns.one_hot_multiplicity[j] << " contexts\t" << name(columns.token_ids[j]) << " 1\n";
    }
    for (std::int64_t number = 0; number < reader.block_count(); ++number) {
        const CsrBlock block = reader.block(number);
        for (std::int64_t row = 0; row < block.rows(); ++row) {
            if (limit-- == 0) return;
            out << block.multiplicity[static_cast<std::size_t>(row)] << " contexts\t";
            const auto indices = block.row_indices(row);
            const auto data = block.row_data(row);
            for (std::size_t i = 0; i < indices.size(); ++i)
                out << (i == 0 ? "" : "  ") << name(columns.token_ids[static_cast<std::size_t>(indices[i])])
                    << ' ' << data[i];
            out << '\n';
        }
    }
}

}  // namespace

ContextFileWriter::ContextFileWriter(const fs::path& directory, int rank, int order, std::int64_t vocabulary,
                                     const std::vector<std::string>& pieces)
    : pending_(directory / fmt::format("contexts-{:05}.h5", rank)),
      file_(io::Hdf5File::create(pending_.partial())),
      order_(order),
      vocabulary_(vocabulary) {
    file_.set_attribute("/", "format", file_format);
    file_.set_attribute("/", "format_version", std::int64_t{1});
    if (!pieces.empty()) file_.write_strings(pieces_name, pieces);
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
    const std::vector<fs::path> files = context_files(directory);
    require(!files.empty(), "{} holds merged rows only: make the matrix with --keep-contexts",
            directory.string());
    for_each_row(files, [&](const ContextGroup& group, std::size_t row) {
        std::string context;
        for (const std::int32_t token : group.context(row)) context += fmt::format("{} ", token);
        group.for_each_successor(row, [&](std::int32_t successor, std::uint64_t count) {
            out << context << successor << '\t' << count << '\n';
        });
        return static_cast<bool>(out);
    });
    out.flush();
    require(static_cast<bool>(out), "the counts of {} could not all be written", directory.string());
}

void for_each_context(const fs::path& directory, const std::function<void(const ContextRow&)>& action) {
    const std::vector<fs::path> files = context_files(directory);
    require(!files.empty(), "{} holds merged rows only: make the matrix with --keep-contexts",
            directory.string());
    for_each_row(files, [&](const ContextGroup& group, std::size_t row) {
        const auto first = static_cast<std::size_t>(group.indptr[row]),
                   count = static_cast<std::size_t>(group.indptr[row + 1]) - first;
        action({group.context(row), std::span(group.indices).subspan(first, count),
                std::span(group.data).subspan(first, count)});
        return true;
    });
}

void show_rows(const fs::path& directory, std::int64_t limit, std::ostream& out) {
    const MatrixReader reader(directory);
    const std::vector<fs::path> files = context_files(directory);
    const TokenNames name(reader.columns(), files);
    if (files.empty()) return show_merged_rows(reader, name, limit, out);
    for_each_row(files, [&](const ContextGroup& group, std::size_t row) {
        if (limit-- == 0) return false;
        std::string text;
        for (const std::int32_t token : group.context(row)) text += (text.empty() ? "" : " ") + name(token);
        char before = '\t';
        group.for_each_successor(row, [&](std::int32_t successor, std::uint64_t count) {
            text += fmt::format("{}{} {}", before == '\t' ? "\t" : "  ", name(successor), count);
            before = ' ';
        });
        out << text << '\n';
        return static_cast<bool>(out);
    });
}

}  // namespace eckart::matrix
