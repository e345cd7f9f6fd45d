#include "eckart/svd/cross_product.hpp"

#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace eckart::svd {

using matrix::CsrBlock;

RowBlocks::RowBlocks(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                     std::int64_t keep_bytes)
    : comm_(comm), reader_(reader) {
    for (std::int64_t number = comm.rank(); number < reader.block_count(); number += comm.size())
        own_.push_back(number);
    const auto share = static_cast<std::int64_t>(own_.size()) * reader.largest_block_bytes();
    keep_ = mpi::all_max(comm, share) <= keep_bytes;
}

std::int64_t RowBlocks::nonzeros() const {
    std::int64_t sum = 0;
    for (const matrix::BlockEntry& block : reader_.manifest().blocks) sum += block.nonzeros;
    return sum;
}

void RowBlocks::for_each_own(const std::function<void(const CsrBlock&)>& action) {
    matrix::BlockStream stream(reader_, own_);
    while (auto block = stream.next()) {
        action(*block);
        if (keep_) blocks_.push_back(std::move(*block));
    }
}

void RowBlocks::for_each(const std::function<void(const CsrBlock&)>& action) {
    const bool here = keep_ && blocks_.size() == own_.size();
    matrix::BlockStream stream(reader_, here ? std::vector<std::int64_t>{} : own_);
    std::size_t next = 0;
    for (std::int64_t number = 0; number < reader_.block_count(); ++number) {
        const int owner = static_cast<int>(number % comm_.size());
        CsrBlock block;
        mpi::agree(comm_, [&] {
            if (comm_.rank() == owner) block = here ? std::move(blocks_[next++]) : *stream.next();
        });
        if (comm_.size() > 1) {
            block.columns = reader_.column_count();
            block.indptr = mpi::broadcast(comm_, std::move(block.indptr), owner);
            block.indices = mpi::broadcast(comm_, std::move(block.indices), owner);
            block.data = mpi::broadcast(comm_, std::move(block.data), owner);
            block.multiplicity = mpi::broadcast(comm_, std::move(block.multiplicity), owner);
            block.weight = mpi::broadcast(comm_, std::move(block.weight), owner);
        }
        action(block);
    }
    blocks_.clear();
}

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
    /// Joins what any rank has joined. Collective.
    void merge(const mpi::Communicator& comm) {
        const auto all = mpi::all_gather_all<std::int32_t>(comm, parent_);
        for (std::size_t i = 0; i < all.size(); ++i)
            join(static_cast<std::int32_t>(i % parent_.size()), all[i]);
    }

private:
    std::int32_t& parent(std::int32_t item) { return parent_[static_cast<std::size_t>(item)]; }
    std::vector<std::int32_t> parent_;
};

Components number_components(DisjointSets& sets, std::size_t columns, const std::vector<double>& diagonal) {
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
    std::vector<std::int32_t> taken(roots.size());
    result.number.resize(columns), result.position.resize(columns);
    for (std::size_t c = 0; c < columns; ++c) {
        const std::int32_t number =
            number_of_root[static_cast<std::size_t>(sets.find(static_cast<std::int32_t>(c)))];
        result.number[c] = number;
        if (number < 0)
            result.isolated_eigenvalues.push_back(diagonal[c]);
        else
            result.position[c] = taken[static_cast<std::size_t>(number)]++;
    }
    return result;
}

/// The rows of a block as they enter G: positions in their component, probabilities, factors.
template <typename T>
struct Rows {
    std::vector<std::int32_t> position;
    std::vector<T> probability;

    Rows(const CsrBlock& block, const Components& components)
        : position(block.indices.size()), probability(block.indices.size()) {
        for (std::int64_t row = 0; row < block.rows(); ++row) {
            double total = 0;
            for (const std::uint64_t count : block.row_data(row)) total += static_cast<double>(count);
            for (std::int64_t e = block.indptr[row]; e < block.indptr[row + 1]; ++e) {
                position[e] = components.position[static_cast<std::size_t>(block.indices[e])];
                probability[e] = static_cast<T>(static_cast<double>(block.data[e]) / total);
            }
        }
    }
};

/// The entries [begin, end) of a row that lie in one block of columns; they meet all entries from their own
/// to the row's end.
struct Segment {
    std::int64_t begin, end, row_end;
    double factor;
};

/// Adds rows to one large component. Short rows are cut by blocks of columns first, so that the scattered
/// additions of a whole row block fall into one block of columns after the other and find it in cache.
template <typename T>
class Accumulator {
public:
    explicit Accumulator(dense::SymmetricColumns<T>& gram)
        : gram_(gram), segments_(static_cast<std::size_t>(gram.block_count())) {}

    void add(const Rows<T>& rows, std::int64_t begin, std::int64_t end, double factor) {
        if (end - begin >= std::max<std::int64_t>(shortest_long_row, gram_.size() / long_share))
            return add_long(rows, begin, end, factor);
        for (std::int64_t e = begin; e < end;) {
            const std::int64_t block = gram_.block_of(rows.position[e]), limit = gram_.first(block + 1);
            std::int64_t last = e;
            while (last < end && rows.position[last] < limit) ++last;
            if (gram_.is_mine(block))
                segments_[static_cast<std::size_t>(block)].push_back({e, last, end, factor});
            e = last;
        }
    }
    /// Carries out what was added from these rows.
    void flush(const Rows<T>& rows) {
        for (std::int64_t block = 0; block < gram_.block_count(); ++block) {
            auto& segments = segments_[static_cast<std::size_t>(block)];
            for (const Segment& segment : segments) scatter(rows, block, segment);
            segments.clear();
        }
    }
    void finish() {
        if (panel_columns_ > 0) dense::add_products(gram_, panel_, panel_columns_);
        panel_.clear();
        panel_columns_ = 0;
    }

private:
    static constexpr std::int64_t long_share = 12, shortest_long_row = 256, panel_width = 64;

    void scatter(const Rows<T>& rows, std::int64_t block, const Segment& segment) {
        const std::int32_t* position = rows.position.data();
        const T* probability = rows.probability.data();
        T* origin = gram_.storage(block).data() - gram_.first(block);
        for (std::int64_t e = segment.begin; e < segment.end; ++e) {
            T* column = origin + (position[e] - gram_.first(block)) * gram_.rows(block);
            const T scaled = static_cast<T>(segment.factor * static_cast<double>(probability[e]));
            for (std::int64_t i = e; i < segment.row_end; ++i) column[position[i]] += scaled * probability[i];
        }
    }
    void add_long(const Rows<T>& rows, std::int64_t begin, std::int64_t end, double factor) {
        const std::int64_t n = gram_.padded_size();
        if (panel_.empty()) panel_.resize(static_cast<std::size_t>(n * panel_width));
        const T root = static_cast<T>(std::sqrt(factor));
        for (std::int64_t e = begin; e < end; ++e)
            panel_[static_cast<std::size_t>(panel_columns_ * n + rows.position[e])] =
                root * rows.probability[e];
        if (++panel_columns_ == panel_width) finish();
    }

    dense::SymmetricColumns<T>& gram_;
    std::vector<std::vector<Segment>> segments_;
    std::vector<T> panel_;  // long rows, each times the root of its factor, side by side
    std::int64_t panel_columns_ = 0;
};

template <typename T>
void add_local(LocalComponent& gram, const Rows<T>& rows, std::int64_t begin, std::int64_t end,
               double factor) {
    for (std::int64_t j = begin; j < end; ++j)
        for (std::int64_t i = j; i < end; ++i)
            gram.values[static_cast<std::size_t>(rows.position[j] * gram.size + rows.position[i])] +=
                factor * static_cast<double>(rows.probability[j]) * static_cast<double>(rows.probability[i]);
}

template <typename T>
void add_block(CrossProduct<T>& gram, std::vector<Accumulator<T>>& accumulators, const CsrBlock& block,
               const Components& components, const matrix::MatrixReader& reader, matrix::RowWeight weight) {
    const Rows<T> rows(block, components);
    for (std::int64_t row = 0; row < block.rows(); ++row) {
        const std::int64_t begin = block.indptr[row], end = block.indptr[row + 1];
        const auto number =
            static_cast<std::size_t>(components.number[static_cast<std::size_t>(block.indices[begin])]);
        const double factor = reader.row_factor(block, row, weight);
        if (number < accumulators.size())
            accumulators[number].add(rows, begin, end, factor);
        else if (LocalComponent& local = gram.small[number - accumulators.size()]; !local.values.empty())
            add_local(local, rows, begin, end, factor);
    }
    for (Accumulator<T>& accumulator : accumulators) accumulator.flush(rows);
}

template <typename T>
void add_diagonal(CrossProduct<T>& gram, const Components& components, const std::vector<double>& diagonal) {
    for (std::size_t c = 0; c < diagonal.size(); ++c) {
        if (components.number[c] < 0) continue;
        const auto number = static_cast<std::size_t>(components.number[c]);
        const std::int64_t at = components.position[c];
        if (number < gram.large.size()) {
            auto& large = gram.large[number];
            if (large.is_mine(large.block_of(at))) *large.at(at, at) += static_cast<T>(diagonal[c]);
        } else if (LocalComponent& local = gram.small[number - gram.large.size()]; !local.values.empty()) {
            local.values[static_cast<std::size_t>(at * local.size + at)] += diagonal[c];
        }
    }
}

void add_column(CrossProductSums& sums, double diagonal, std::span<const double> below) {
    double sum = 0, squares = 0;
    for (const double value : below) sum += value, squares += value * value;
    sums.trace += diagonal;
    sums.all_entries += diagonal + 2 * sum;
    sums.squared_norm += diagonal * diagonal + 2 * squares;
}

}  // namespace

Components find_components(RowBlocks& blocks, matrix::RowWeight weight, Progress& progress) {
    const auto columns = static_cast<std::size_t>(blocks.reader().column_count());
    DisjointSets sets(columns);
    std::vector<std::int64_t> terms(columns, 1);
    progress.begin("reading the matrix", blocks.nonzeros() / blocks.comm().size(), " non-zeros");
    mpi::agree(blocks.comm(), [&] {
        std::int64_t done = 0;
        blocks.for_each_own([&](const CsrBlock& block) {
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
    Components result = number_components(sets, columns, blocks.reader().one_hot_diagonal(weight));
    if (columns > 0) result.longest_sum = *std::max_element(terms.begin(), terms.end());
    return result;
}

template <typename T>
CrossProduct<T> zero_cross_product(const mpi::Communicator& comm, const Components& components) {
    CrossProduct<T> gram;
    for (const std::int64_t size : components.sizes) {
        if (size > local_order) {
            gram.large.emplace_back(comm, size);
            continue;
        }
        const bool mine = static_cast<int>(gram.small.size()) % comm.size() == comm.rank();
        gram.small.push_back({size, std::vector<double>(mine ? static_cast<std::size_t>(size * size) : 0)});
    }
    return gram;
}
template CrossProduct<double> zero_cross_product(const mpi::Communicator&, const Components&);
template CrossProduct<float> zero_cross_product(const mpi::Communicator&, const Components&);

template <typename T>
CrossProduct<T> cross_product(RowBlocks& blocks, const Components& components, matrix::RowWeight weight,
                              Progress& progress) {
    CrossProduct<T> gram = zero_cross_product<T>(blocks.comm(), components);
    std::vector<Accumulator<T>> accumulators(gram.large.begin(), gram.large.end());
    progress.begin("forming the cross product", blocks.nonzeros(), " non-zeros");
    std::int64_t done = 0;
    blocks.for_each([&](const CsrBlock& block) {
        add_block(gram, accumulators, block, components, blocks.reader(), weight);
        progress.update(done += block.nonzeros());
    });
    for (Accumulator<T>& accumulator : accumulators) accumulator.finish();
    add_diagonal(gram, components, blocks.reader().one_hot_diagonal(weight));
    progress.end();
    return gram;
}
template CrossProduct<double> cross_product(RowBlocks&, const Components&, matrix::RowWeight, Progress&);
template CrossProduct<float> cross_product(RowBlocks&, const Components&, matrix::RowWeight, Progress&);

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
    for (const LocalComponent& local : gram.small)
        for (std::int64_t j = 0; j < local.size && !local.values.empty(); ++j) {
            const double* column = local.values.data() + j * local.size;
            add_column(sums, column[j], std::span(column + j + 1, column + local.size));
        }
    std::vector<double> all{sums.trace, sums.all_entries, sums.squared_norm};
    mpi::all_sum(comm, std::span(all));
    return {all[0], all[1], all[2]};
}
template CrossProductSums sums_of(const mpi::Communicator&, const CrossProduct<double>&);
template CrossProductSums sums_of(const mpi::Communicator&, const CrossProduct<float>&);

}  // namespace eckart::svd
