#pragma once

#include "eckart/dense/tall_matrix.hpp"
#include "eckart/matrix/kernels.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/svd/coupled_columns.hpp"
#include "eckart/svd/products_file.hpp"
#include "eckart/svd/row_products.hpp"
#include "eckart/svd/symmetric_operator.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace eckart::svd {

/// What stays after the blocks were read once.
enum class Kept {
    products,  ///< `RowProducts`, in memory
    rows,      ///< the scaled rows, in memory: a quarter of that at most, and half as fast
    file,      ///< `RowProducts` in a scratch file, read in every pass
    nothing,   ///< the blocks are read again in every pass
};

/// What a rank may use.
struct PassResources {
    std::int64_t memory = 0;  ///< bytes
    int threads = 1;
    std::filesystem::path scratch;   ///< a directory
    std::int64_t scratch_bytes = 0;  ///< free there
};

/// How the ranks share a pass: `groups` x `strips` of them; a group takes a share of the blocks, a rank of it
/// a strip of the panel's columns. More strips need less memory, more groups read less.
struct PassPlan {
    int groups = 1;
    int strips = 1;
    Kept kept = Kept::nothing;
    std::int64_t batch_bytes = 0;  ///< of a file: memory in which a batch is made ready

    int group(int rank) const { return rank / strips; }
    int strip(int rank) const { return rank % strips; }
};

/// The plan with which panels of `width` columns pass soonest: as much is kept as there is room for, then the
/// least is sent. Throws `Error` saying what would fit when nothing does.
PassPlan plan_pass(const matrix::MatrixReader& reader, int ranks, std::int64_t width,
                   const PassResources& resources);
/// Bytes a rank holds while a panel of `width` columns is multiplied, without the panel and the kept rows.
std::int64_t pass_bytes(const matrix::MatrixReader& reader, std::int64_t width, const PassPlan& plan);
/// Bytes that all ranks together send to others while X and Z of `order` x `width` travel.
std::int64_t exchanged_bytes(std::int64_t order, std::int64_t width, const PassPlan& plan);
/// Bytes a rank holds of what is kept, at most.
std::int64_t kept_bytes(const matrix::MatrixReader& reader, const PassPlan& plan, int threads);
/// Of all blocks.
std::int64_t nonzeros_of(const matrix::MatrixReader& reader);

/// X -> G X over the coupled columns, G = W'W never formed: one pass over the blocks of the matrix. Panels
/// are spread over the ranks by rows. References must outlive it.
class CrossOperator : public SymmetricOperator {
public:
    CrossOperator(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                  const CoupledColumns& split, matrix::RowWeight weight, PassPlan plan,
                  PassResources resources);

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
    void gather_strip(const dense::Columns& x);
    void add_rows(std::int64_t columns);
    void add_fused(std::span<const matrix::ScaledRows> blocks, std::int64_t columns);
    void add_ready(const ProductsView& products, std::int64_t columns);
    void keep_rows();
    void write_products();
    template <typename Work>
    void for_each_block(const Work& work) const;
    template <typename Work>
    void for_each_part(std::int64_t columns, const Work& work);
    dense::TallMatrix scatter_strip(const dense::Columns& x);

    const matrix::MatrixReader& reader_;
    const CoupledColumns& split_;
    matrix::RowWeight weight_;
    PassPlan plan_;
    PassResources resources_;
    std::vector<double> diagonal_;  ///< of this rank's rows: the one-hot rows
    bool read_ = false;             ///< what is kept is there
    std::vector<matrix::ScaledRows> rows_;
    std::optional<RowProducts> products_;
    std::optional<ProductsFile> file_;
    std::vector<ProductScratch> scratch_;  ///< one a thread
    Tiles x_, z_;  ///< this rank's strip of the panel and of the product; they stay, as their memory does
    std::vector<double> outgoing_;
    mpi::Received<double> incoming_;
    std::int64_t passes_ = 0;
};

}  // namespace eckart::svd
