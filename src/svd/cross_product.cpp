#include "eckart/svd/cross_product.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/column_updates.hpp"
#include "eckart/svd/row_router.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace eckart::svd {

using matrix::CsrBlock;

namespace {

constexpr std::int64_t batch_entries = std::int64_t{1} << 20;  ///< that it gathers before it adds them

/// Rows from here on are long. A row of a large component that is this long is cheaper as part of a dense
/// product, which adds n^2 / 2 pairs some 150 times as fast.
std::int32_t long_row(std::int64_t order) {
    constexpr std::int64_t share = 8, shortest = 256;
    return order <= local_order ? std::numeric_limits<std::int32_t>::max()
                                : narrow<std::int32_t>(std::max(shortest, order / share));
}

/// The columns of G in one order, component after component.
struct Places {
    std::vector<std::int32_t> of_column;  ///< -1 of a column that is alone
    std::vector<std::int64_t> first;      ///< of each component; and the number of all

    explicit Places(const Components& components) : of_column(components.position), first{0} {
        for (const std::int64_t size : components.sizes) first.push_back(first.back() + size);
        for (std::size_t c = 0; c < of_column.size(); ++c)
            of_column[c] = components.number[c] < 0
                               ? -1
                               : narrow<std::int32_t>(first[static_cast<std::size_t>(components.number[c])] +
                                                      components.position[c]);
    }
    std::size_t count() const { return static_cast<std::size_t>(first.back()); }
};

/// Where the columns of G lie, by place.
template <typename T>
struct ColumnTable {
    std::vector<std::int32_t> owner, long_row;
    std::vector<T*> diagonal;  ///< the diagonal element, null on other ranks

    ColumnTable(const mpi::Communicator& comm, CrossProduct<T>& gram, const Places& places) {
        owner.reserve(places.count()), long_row.reserve(places.count()), diagonal.reserve(places.count());
        for (auto& large : gram.large)
            for (std::int64_t j = 0; j < large.size(); ++j) {
                const std::int64_t block = large.block_of(j);
                add(large.owner(block), svd::long_row(large.size()),
                    large.is_mine(block) ? large.at(j, j) : nullptr);
            }
        for (std::size_t s = 0; s < gram.small.size(); ++s)
            for (std::int64_t j = 0; j < gram.small[s].size; ++j)
                add(small_owner(s, comm.size()), svd::long_row(gram.small[s].size),
                    gram.small[s].values.empty()
                        ? nullptr
                        : gram.small[s].values.data() + j * (gram.small[s].size + 1));
    }

private:
    void add(int rank, std::int32_t length, T* element) {
        owner.push_back(rank), long_row.push_back(length), diagonal.push_back(element);
    }
};

/// Adds what other ranks and this one have sent.
template <typename T>
class RowAdder {
public:
    RowAdder(CrossProduct<T>& gram, const Places& places, ColumnTable<T> table, std::int64_t entries)
        : gram_(gram),
          first_(places.first),
          long_row_(std::move(table.long_row)),
          long_rows_(gram.large.size()),
          updates_(std::move(table.diagonal), entries) {}

    /// Collective, so that no rank waits for others that add what they have gathered.
    void add(const mpi::Communicator& comm, std::span<const RowEntry<T>> rows) {
        if (mpi::any(comm, updates_.room() < static_cast<std::int64_t>(rows.size()))) updates_.flush();
        while (!rows.empty()) {
            const std::span<const RowEntry<T>> row = take_row(rows);
            if (static_cast<std::int64_t>(row.size()) >=
                long_row_[static_cast<std::size_t>(row.front().column())])
                add_long(row);
            else
                updates_.add(row);
        }
    }
    void finish() {
        // A few long rows are not worth a pass over all of G.
        for (LongRows& rows : long_rows_) {
            if (rows.ends.size() >= worth_a_pass) multiply(rows);
            for (std::size_t r = 0; r < rows.ends.size(); ++r) updates_.add(rows.row(r));
            rows = {};
        }
        updates_.flush();
    }

private:
    static constexpr std::size_t panel_width = 64, worth_a_pass = 24;
    struct LongRows {
        std::vector<RowEntry<T>> entries;
        std::vector<std::size_t> ends;

        std::span<const RowEntry<T>> row(std::size_t number) const {
            const std::size_t begin = number == 0 ? 0 : ends[number - 1];
            return std::span(entries).subspan(begin, ends[number] - begin);
        }
    };

    std::size_t component_of(std::span<const RowEntry<T>> row) const {
        return static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), row.front().column()) -
                                        first_.begin() - 1);
    }
    void add_long(std::span<const RowEntry<T>> row) {
        LongRows& rows = long_rows_[component_of(row)];
        rows.entries.insert(rows.entries.end(), row.begin(), row.end());
        rows.ends.push_back(rows.entries.size());
        if (rows.ends.size() == panel_width) multiply(rows);
    }
    void multiply(LongRows& rows) {
        const std::size_t c = component_of(rows.entries), width = rows.ends.size();
        dense::SymmetricColumns<T>& large = gram_.large[c];
        const auto n = static_cast<std::size_t>(large.padded_size());
        std::vector<T> panel(n * width);
        for (std::size_t r = 0; r < width; ++r)
            for (const RowEntry<T>& entry : rows.row(r))
                panel[r * n + static_cast<std::size_t>(entry.column() - first_[c])] = entry.value;
        dense::add_products(large, panel, static_cast<std::int64_t>(width));
        rows = {};
    }

    CrossProduct<T>& gram_;
    std::vector<std::int64_t> first_;
    std::vector<std::int32_t> long_row_;
    std::vector<LongRows> long_rows_;  // of each large component
    ColumnUpdates<T> updates_;
};

template <typename T>
void add_diagonal(const ColumnTable<T>& table, const Places& places, const std::vector<double>& diagonal) {
    for (std::size_t c = 0; c < diagonal.size(); ++c)
        if (places.of_column[c] >= 0)
            if (T* const element = table.diagonal[static_cast<std::size_t>(places.of_column[c])];
                element != nullptr)
                *element += static_cast<T>(diagonal[c]);
}

void add_column(CrossProductSums& sums, double diagonal, std::span<const double> below) {
    double sum = 0, squares = 0;
    for (const double value : below) sum += value, squares += value * value;
    sums.trace += diagonal;
    sums.all_entries += diagonal + 2 * sum;
    sums.squared_norm += diagonal * diagonal + 2 * squares;
}

}  // namespace

int small_owner(std::size_t number, int ranks) {
    return static_cast<int>(number % static_cast<std::size_t>(ranks));
}

template <typename T>
CrossProduct<T> zero_cross_product(const mpi::Communicator& comm, const Components& components) {
    CrossProduct<T> gram;
    for (const std::int64_t size : components.sizes) {
        if (size > local_order) {
            gram.large.emplace_back(comm, size);
            continue;
        }
        const bool mine = small_owner(gram.small.size(), comm.size()) == comm.rank();
        gram.small.push_back({size, std::vector<T>(mine ? static_cast<std::size_t>(size * size) : 0)});
    }
    return gram;
}
template CrossProduct<double> zero_cross_product(const mpi::Communicator&, const Components&);
template CrossProduct<float> zero_cross_product(const mpi::Communicator&, const Components&);

template <typename T>
CrossProduct<T> cross_product(RowBlocks& blocks, const Components& components, matrix::RowWeight weight,
                              Progress& progress) {
    const mpi::Communicator& comm = blocks.comm();
    progress.begin("making room for the cross product");
    CrossProduct<T> gram = zero_cross_product<T>(comm, components);
    progress.end();
    progress.begin("forming the cross product", blocks.nonzeros(), " non-zeros");
    const Places places(components);
    const ColumnTable<T> table(comm, gram, places);
    RowRouter<T> router(comm, table.owner, table.long_row);
    RowAdder<T> adder(gram, places, table,
                      std::min(batch_entries, blocks.reader().manifest().merged_nonzeros));
    route_rows<T>(blocks, router, weight, places.of_column, progress,
                  [&](std::span<const RowEntry<T>> rows) { adder.add(comm, rows); });
    adder.finish();
    add_diagonal(table, places,
                 blocks.reader().one_hot_diagonal(weight));  // last: what is small is not lost in it
    progress.end();
    return gram;
}
template CrossProduct<double> cross_product(RowBlocks&, const Components&, matrix::RowWeight, Progress&);
template CrossProduct<float> cross_product(RowBlocks&, const Components&, matrix::RowWeight, Progress&);

std::int64_t cross_product_buffer_bytes(std::int64_t nonzeros, std::int64_t places,
                                        std::int64_t element_bytes) {
    const std::int64_t entries = std::min(nonzeros, batch_entries);
    constexpr std::int64_t table_bytes = 16;  // owner, length of long rows, diagonal
    return (element_bytes == sizeof(double) ? ColumnUpdates<double>::bytes(entries, places)
                                            : ColumnUpdates<float>::bytes(entries, places)) +
           row_router_bytes(nonzeros, places, element_bytes) + places * table_bytes;
}

template <typename T>
CrossProductSums sums_of(const mpi::Communicator& comm, const CrossProduct<T>& gram) {
    CrossProductSums sums;
    std::vector<double> below;
    for (const auto& large : gram.large)
        for (std::int64_t j = 0; j < large.size(); ++j) {
            if (!large.is_mine(large.block_of(j))) continue;
            const T* column = large.at(j, j);
            below.assign(column + 1, column + (large.size() - j));
            add_column(sums, static_cast<double>(column[0]), below);
        }
    for (const LocalComponent<T>& local : gram.small)
        for (std::int64_t j = 0; j < local.size && !local.values.empty(); ++j) {
            const T* column = local.values.data() + j * local.size;
            below.assign(column + j + 1, column + local.size);
            add_column(sums, static_cast<double>(column[j]), below);
        }
    std::vector<double> all{sums.trace, sums.all_entries, sums.squared_norm};
    mpi::all_sum(comm, std::span(all));
    return {all[0], all[1], all[2]};
}
template CrossProductSums sums_of(const mpi::Communicator&, const CrossProduct<double>&);
template CrossProductSums sums_of(const mpi::Communicator&, const CrossProduct<float>&);

}  // namespace eckart::svd
