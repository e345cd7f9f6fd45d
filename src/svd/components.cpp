#include "eckart/svd/components.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <numeric>

namespace eckart::svd {

using matrix::CsrBlock;

namespace {

/// Disjoint sets of columns, each named by its least (union by least, paths halved).
class DisjointSets {
public:
    explicit DisjointSets(std::size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0); }

    std::int32_t find(std::int32_t item) {
        while (parent(item) != item) item = parent(item) = parent(parent(item));
        return item;
    }
    void join(std::int32_t a, std::int32_t b) {
        a = find(a), b = find(b);
        parent(std::max(a, b)) = std::min(a, b);
    }
    /// Joins what any rank has joined: each item with the least that any rank names it by, until no rank
    /// learns more. What one has joined is passed on by all, so few rounds do. Collective.
    void merge(const mpi::Communicator& comm) {
        for (bool news = true; mpi::any(comm, news);) {
            std::vector<std::int32_t> least(parent_.size());
            for (std::size_t i = 0; i < least.size(); ++i) least[i] = find(static_cast<std::int32_t>(i));
            mpi::all_min(comm, std::span(least));
            news = false;
            for (std::size_t i = 0; i < least.size(); ++i) {
                const auto item = static_cast<std::int32_t>(i);
                if (find(item) == least[i]) continue;
                news = true;
                join(item, least[i]);
            }
        }
    }

private:
    std::int32_t& parent(std::int32_t item) { return parent_[static_cast<std::size_t>(item)]; }
    std::vector<std::int32_t> parent_;
};

/// Columns by the number of rows that hold them, the rarest first.
std::vector<std::int32_t> rarest_first(const std::vector<std::int64_t>& terms) {
    std::vector<std::int32_t> order(terms.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return terms[static_cast<std::size_t>(a)] < terms[static_cast<std::size_t>(b)];
    });
    return order;
}

Components number_components(DisjointSets& sets, const std::vector<std::int64_t>& terms,
                             const std::vector<double>& diagonal) {
    const std::size_t columns = terms.size();
    std::vector<std::int64_t> size(columns);
    for (std::size_t c = 0; c < columns; ++c)
        ++size[static_cast<std::size_t>(sets.find(static_cast<std::int32_t>(c)))];
    std::vector<std::int32_t> roots;
    for (std::size_t c = 0; c < columns; ++c)
        if (size[c] > 1) roots.push_back(static_cast<std::int32_t>(c));
    std::stable_sort(roots.begin(), roots.end(), [&](std::int32_t a, std::int32_t b) {
        return size[static_cast<std::size_t>(a)] > size[static_cast<std::size_t>(b)];
    });
    std::vector<std::int32_t> number_of_root(columns, -1);
    Components result;
    for (std::size_t i = 0; i < roots.size(); ++i) {
        number_of_root[static_cast<std::size_t>(roots[i])] = static_cast<std::int32_t>(i);
        result.sizes.push_back(size[static_cast<std::size_t>(roots[i])]);
    }
    result.number.resize(columns), result.position.resize(columns);
    for (std::size_t c = 0; c < columns; ++c) {
        result.number[c] = number_of_root[static_cast<std::size_t>(sets.find(static_cast<std::int32_t>(c)))];
        if (result.number[c] < 0) result.isolated_eigenvalues.push_back(diagonal[c]);
    }
    std::vector<std::int32_t> taken(roots.size());
    for (const std::int32_t column : rarest_first(terms))
        if (const std::int32_t number = result.number[static_cast<std::size_t>(column)]; number >= 0)
            result.position[static_cast<std::size_t>(column)] = taken[static_cast<std::size_t>(number)]++;
    if (columns > 0) result.longest_sum = *std::max_element(terms.begin(), terms.end());
    return result;
}

}  // namespace

Components find_components(RowBlocks& blocks, matrix::RowWeight weight, Progress& progress) {
    const auto columns = static_cast<std::size_t>(blocks.reader().column_count());
    DisjointSets sets(columns);
    std::vector<std::int64_t> terms(columns, 1);
    progress.begin("reading the matrix", blocks.nonzeros(), " non-zeros");
    mpi::agree(blocks.comm(), [&] {
        std::int64_t done = 0;
        blocks.for_each([&](const CsrBlock& block) {
            mpi::stop_if_interrupted("the matrix is safe");
            for (std::int64_t row = 0; row < block.rows(); ++row)
                for (const std::int32_t column : block.row_indices(row)) {
                    sets.join(block.row_indices(row).front(), column);
                    ++terms[static_cast<std::size_t>(column)];
                }
            progress.update(done += block.nonzeros());
        });
    });
    sets.merge(blocks.comm());
    mpi::all_sum(blocks.comm(), std::span(terms));
    progress.end();
    return number_components(sets, terms, blocks.reader().one_hot_diagonal(weight));
}

}  // namespace eckart::svd
