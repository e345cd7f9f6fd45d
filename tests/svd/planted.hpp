#pragma once

#include "eckart/base/random.hpp"
#include "eckart/dense/tall_matrix.hpp"
#include "eckart/matrix/block_file.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/collectives.hpp"
#include "scratch_directory.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

/// Matrices whose cross product is known, for the tests of every route to a spectrum.
namespace eckart::svd {

/// A matrix directory made by the first rank, and its dense G.
class Planted {
public:
    Planted(const mpi::Communicator& comm, std::int64_t columns) : comm_(comm), gram(columns, columns) {
        one_hot_.resize(static_cast<std::size_t>(columns));
        block_.columns = columns;
    }
    void row(std::vector<std::int32_t> indices, std::vector<std::uint64_t> counts,
             std::int64_t multiplicity) {
        const auto total =
            static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
        for (std::size_t i = 0; i < indices.size(); ++i)
            for (std::size_t j = 0; j < indices.size(); ++j)
                gram.at(indices[i], indices[j]) += static_cast<double>(multiplicity) *
                                                   (static_cast<double>(counts[i]) / total) *
                                                   (static_cast<double>(counts[j]) / total);
        contexts_ += multiplicity;
        block_.append_row(indices, counts, multiplicity, multiplicity * static_cast<std::int64_t>(total));
        if (block_.rows() == 40) end_block();
    }
    void one_hot(std::int64_t column, std::int64_t multiplicity) {
        one_hot_[static_cast<std::size_t>(column)] += multiplicity;
        contexts_ += multiplicity;
        gram.at(column, column) += static_cast<double>(multiplicity);
    }
    /// The manifest will say one context too many.
    void lose_a_context() { ++contexts_; }
    /// Writes it; every rank opens it.
    matrix::MatrixReader open() {
        end_block();
        if (comm_.is_root()) {
            scratch_ = std::make_unique<ScratchDirectory>();
            matrix::Manifest manifest;
            manifest.order = 2;
            manifest.columns = gram.rows();
            manifest.contexts = contexts_;
            manifest.ngrams = 1;
            double trace = 0;
            for (std::int64_t i = 0; i < gram.rows(); ++i) trace += gram.at(i, i);
            manifest.frobenius_squared =
                ExactSum(static_cast<std::uint64_t>(trace),
                         static_cast<std::uint64_t>((trace - std::floor(trace)) * 0x1p64));
            matrix::Columns all;
            all.token_ids.resize(one_hot_.size());
            std::iota(all.token_ids.begin(), all.token_ids.end(), 0);
            all.one_hot_multiplicity = all.one_hot_weight = one_hot_;
            matrix::write_columns(scratch_->path(), all);
            matrix::BlockFileWriter writer(scratch_->path(), 0, {});
            for (std::size_t i = 0; i < blocks_.size(); ++i)
                writer.add(static_cast<std::int64_t>(i), blocks_[i]);
            manifest.blocks = writer.commit();
            matrix::write_manifest(scratch_->path(), manifest);
        }
        const std::string path = mpi::broadcast(comm_, scratch_ ? scratch_->path().string() : std::string());
        return matrix::MatrixReader(path);
    }

private:
    void end_block() {
        if (block_.rows() == 0) return;
        blocks_.push_back(std::move(block_));
        block_ = {};
        block_.columns = gram.rows();
    }
    const mpi::Communicator& comm_;
    matrix::CsrBlock block_;
    std::vector<matrix::CsrBlock> blocks_;
    std::vector<std::int64_t> one_hot_;
    std::int64_t contexts_ = 0;
    std::unique_ptr<ScratchDirectory> scratch_;

public:
    dense::SmallMatrix gram;
};

/// Random rows over popular and rare columns, as words have.
inline void add_text_like_rows(Planted& planted, std::int64_t rows, std::uint64_t seed) {
    const CounterRandom random(seed);
    const auto columns = static_cast<double>(planted.gram.rows());
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto row = static_cast<std::uint64_t>(r);
        std::set<std::int32_t> chosen;
        for (std::uint64_t k = 0; k < 2 + random.bits(row, 0) % 6 || chosen.size() < 2; ++k)
            chosen.insert(static_cast<std::int32_t>(columns * std::pow(random.uniform(row, k, 3), 3)));
        std::vector<std::uint64_t> counts;
        for (std::size_t i = 0; i < chosen.size(); ++i) counts.push_back(1 + random.bits(row, i, 5) % 9);
        planted.row({chosen.begin(), chosen.end()}, counts,
                    1 + static_cast<std::int64_t>(random.bits(row, 7) % 3));
    }
    for (std::int64_t c = 0; c < planted.gram.rows(); c += 2)
        planted.one_hot(c, 1 + static_cast<std::int64_t>(columns) / (c + 1));
}

/// Pairs of nearly parallel rows over two columns each, p, q = (1 +- d, 1 -+ d) / 2 with d = 1 / (2 n + 1):
/// their singular values are 1 and d, which falls far below the floor of squaring. Returns all, descending.
inline std::vector<double> add_close_pairs(Planted& planted) {
    std::vector<double> sigma;
    for (std::int32_t c = 0; c + 1 < planted.gram.rows(); c += 2) {
        const std::uint64_t n = std::uint64_t{1} << (10 + c / 2);
        planted.row({c, c + 1}, {n + 1, n}, 1);
        planted.row({c, c + 1}, {n, n + 1}, 1);
        sigma.push_back(1);
        sigma.push_back(1 / static_cast<double>(2 * n + 1));
    }
    std::sort(sigma.begin(), sigma.end(), std::greater<>());
    return sigma;
}

/// Pairs of columns that meet nowhere else: each gives 1 and 0 (times its multiplicity): long plateaus.
inline void add_plateaus(Planted& planted) {
    for (std::int32_t c = 0; c + 1 < planted.gram.rows(); c += 2) {
        planted.row({c, c + 1}, {1, 1}, 1 + c % 3);
        planted.one_hot(c, 1 + c % 2), planted.one_hot(c + 1, 1 + c % 2);
    }
}

}  // namespace eckart::svd
