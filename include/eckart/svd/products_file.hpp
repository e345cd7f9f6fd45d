#pragma once

#include "eckart/ngrams/spill_file.hpp"
#include "eckart/svd/row_products.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <utility>
#include <vector>

namespace eckart::svd {

/// `RowProducts` of more rows than memory holds, batch after batch in a scratch file of this rank's, which
/// has no name once it is open: nothing is left behind however the job ends.
class ProductsFile {
public:
    /// In `directory`, which exists.
    explicit ProductsFile(const std::filesystem::path& directory);
    ~ProductsFile();
    ProductsFile(ProductsFile&&) = delete;

    void append(const ProductsView& products);
    /// Calls `work` with every batch, while the next one is read: after the last, the first for the next
    /// time. Throws `Error` when bytes are not those that were written.
    template <typename Work>
    void for_each(const Work& work) {
        for (std::size_t i = 0; i < batches_.size(); ++i) {
            if (!ahead_.valid()) read_ahead(0);
            spare_ = std::exchange(current_, ahead_.get());
            read_ahead((i + 1) % batches_.size());
            work(view_of(current_));
        }
    }

private:
    static constexpr std::size_t array_count = 14;
    struct Batch {
        std::array<std::vector<std::byte>, array_count> arrays;
    };
    static ProductsView view_of(const Batch& batch);
    void read_ahead(std::size_t number);

    ngrams::SpillFile file_;
    std::vector<std::array<ngrams::Segment, array_count>> batches_;
    Batch current_, spare_;
    std::future<Batch> ahead_;
};

}  // namespace eckart::svd
