#include "eckart/svd/row_blocks.hpp"

#include <utility>

namespace eckart::svd {

using matrix::CsrBlock;

RowBlocks::RowBlocks(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                     std::int64_t keep_bytes)
    : comm_(comm),
      reader_(reader),
      own_(reader.share(comm.rank(), comm.size())),
      keep_(static_cast<std::int64_t>(own_.size()) * reader.largest_block_bytes() <= keep_bytes) {}

std::int64_t RowBlocks::nonzeros() const {
    std::int64_t sum = 0;
    for (const std::int64_t number : own_)
        sum += reader_.manifest().blocks[static_cast<std::size_t>(number)].nonzeros;
    return sum;
}

void RowBlocks::for_each(const std::function<void(const CsrBlock&)>& action) {
    matrix::BlockStream stream(reader_, own_);
    while (auto block = stream.next()) {
        action(*block);
        if (keep_) kept_.push_back(std::move(*block));
    }
}

std::optional<CsrBlock> RowBlocks::next() {
    if (taken_ < kept_.size()) return std::move(kept_[taken_++]);
    if (keep_ && !kept_.empty()) return std::nullopt;
    if (!stream_) stream_ = std::make_unique<matrix::BlockStream>(reader_, own_);
    return stream_->next();
}

}  // namespace eckart::svd
