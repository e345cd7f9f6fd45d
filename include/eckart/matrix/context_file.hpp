#pragma once

#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "eckart/ngrams/counter.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace eckart::matrix {

/// The unmerged rows of W with their contexts, for looking: which context a row stands for. One file a rank,
/// contexts-RANK.h5; a group holds the contexts' tokens (`context`, rows x order - 1) and a CSR matrix of
/// counts (`data`, `indices`, `indptr`, `shape`) whose columns are token ids.
class ContextFileWriter final : public ngrams::ContextVisitor {
public:
    /// `pieces` is the text of all tokens by id, kept in the file; may be empty.
    ContextFileWriter(const std::filesystem::path& directory, int rank, int order, std::int64_t vocabulary,
                      const std::vector<std::string>& pieces);
    void visit(std::span<const std::uint32_t> context, std::span<const std::uint32_t> successors,
               std::span<const std::uint64_t> counts) override;
    /// Writes what is left, closes, syncs and renames the file.
    void commit();

private:
    void write_group();
    io::PendingFile pending_;
    io::Hdf5File file_;
    int order_;
    std::int64_t vocabulary_;
    std::int64_t groups_ = 0;
    std::vector<std::int32_t> contexts_, indices_;
    std::vector<std::uint64_t> data_;
    std::vector<std::int64_t> indptr_{0};
};

/// Plain-text counts of a matrix made with its contexts kept: a line an n-gram, its token ids, a tab, its
/// count. Throws `Error` when the contexts were not kept.
void dump_counts(const std::filesystem::path& directory, std::ostream& out);

/// A row of W before merging: a context, the tokens that follow it (ids) and how often.
struct ContextRow {
    std::span<const std::int32_t> context;
    std::span<const std::int32_t> tokens;
    std::span<const std::uint64_t> counts;
};
/// Every row of a matrix made with its contexts kept, as it lies on disk. Throws `Error` when they were not
/// kept.
void for_each_context(const std::filesystem::path& directory,
                      const std::function<void(const ContextRow&)>& action);

/// The first `limit` rows as text, one a line: the context, a tab, and each successor with its count. Without
/// kept contexts the merged rows: how many contexts, a tab, successors with their reduced counts. Tokens are
/// shown as JSON strings where their text is known, else as #id.
void show_rows(const std::filesystem::path& directory, std::int64_t limit, std::ostream& out);

}  // namespace eckart::matrix
