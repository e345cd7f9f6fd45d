#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/matrix/kernels.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/symmetric_operator.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace eckart::svd {

/// How the ranks share a pass: `groups` x `strips` of them; a group takes a share of the blocks, a rank of it
/// a strip of the panel's columns. More strips need less memory, more groups read less.
struct PassPlan {
    int groups = 1;
    int strips = 1;
    bool keep_rows = false;  ///< the scaled rows stay in memory after the first pass

    int group(int rank) const { return rank / strips; }
    int strip(int rank) const { return rank % strips; }
};

/// The fewest strips that fit in `memory` bytes a rank, for panels of `width` columns; the rows are kept when
/// there is room for them. Throws `Error` saying what would fit when nothing does.
PassPlan plan_pass(const matrix::MatrixReader& reader, int ranks, std::int64_t width, std::int64_t memory);
/// Bytes a rank holds while a panel of `width` columns is multiplied, without the panel and the kept rows.
std::int64_t pass_bytes(const matrix::MatrixReader& reader, std::int64_t width, const PassPlan& plan);
/// Bytes that all ranks together send to others while X and Z of `order` x `width` travel.
std::int64_t exchanged_bytes(std::int64_t order, std::int64_t width, const PassPlan& plan);
/// Bytes of a group's rows when they are kept.
std::int64_t kept_bytes(const matrix::MatrixReader& reader, int groups);
/// Of all blocks.
std::int64_t nonzeros_of(const matrix::MatrixReader& reader);

/// X -> G X over the coupled columns, G = W'W never formed: one pass over the blocks of the matrix. Panels
/// are spread over the ranks by rows. References must outlive it.
class CrossOperator : public SymmetricOperator {
public:
    CrossOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                  const CoupledColumns& split, matrix::RowWeight weight, PassPlan plan, int threads);

    /// G x. Collective. Cost: 4 x non-zeros x columns flops over all ranks; every rank sends and receives
    /// size x columns x groups / ranks numbers, twice (`exchanged_bytes` leaves out what it sends itself).
    dense::TallMatrix apply(const dense::Columns& x) override;
    std::int64_t passes() const { return passes_; }

private:
    using Tiles = std::vector<matrix::TileRow>;  // tile after tile, each `size` rows
    struct Range {
        std::int64_t first, end;
        std::int64_t size() const { return end - first; }
    };
    Range tile_columns(std::int64_t columns, int strip, std::int64_t tile) const;
    std::int64_t tiles_of_strip(std::int64_t columns, int strip) const;
    Tiles gather_strip(const dense::Columns& x) const;
    void add_rows(const Tiles& x, Tiles& z);
    void multiply(std::span<const matrix::ScaledRows> blocks, const Tiles& x, Tiles& z) const;
    dense::TallMatrix scatter_strip(const Tiles& z, std::int64_t columns) const;

    const matrix::MatrixReader& reader_;
    const CoupledColumns& split_;
    matrix::RowWeight weight_;
    PassPlan plan_;
    int threads_;
    std::vector<double> diagonal_;  ///< of this rank's rows: the one-hot rows
    std::vector<matrix::ScaledRows> kept_;
    std::int64_t passes_ = 0;
};

}  // namespace eckart::svd
