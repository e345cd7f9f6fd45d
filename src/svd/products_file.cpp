#include "eckart/svd/products_file.hpp"

#include <span>
#include <utility>

#include <unistd.h>

namespace eckart::svd {

namespace {

/// Calls `visit` with every array of a view, in the order in which a batch has them.
template <typename View, typename Visit>
void for_each_array(View& view, const Visit& visit) {
    std::size_t number = 0;
    for (auto* const matrix : {&view.pairs, &view.rows, &view.transposed}) {
        visit(number++, matrix->indptr);
        visit(number++, matrix->indices);
        visit(number++, matrix->values);
        visit(number++, matrix->places);
    }
    visit(number++, view.row_ends);
    visit(number++, view.transposed_ends);
}

}  // namespace

ProductsFile::ProductsFile(const std::filesystem::path& directory)
    : file_(directory / fmt::format("eckart-products.{}", ::getpid())) {
    file_.flush();  // which makes it
    ::unlink(file_.path().c_str());
}

ProductsFile::~ProductsFile() {
    if (ahead_.valid()) ahead_.wait();
}

void ProductsFile::append(const ProductsView& products) {
    batches_.emplace_back();
    for_each_array(products, [&](std::size_t number, const auto& array) {
        batches_.back()[number] = file_.append(std::as_bytes(array));
    });
    file_.flush();
}

ProductsView ProductsFile::view_of(const Batch& batch) {
    ProductsView view;
    for_each_array(view, [&]<typename T>(std::size_t number, std::span<const T>& array) {
        const std::vector<std::byte>& bytes = batch.arrays[number];
        array = {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
    });
    return view;
}

/// Into the memory of the batch that was used last.
void ProductsFile::read_ahead(std::size_t number) {
    ahead_ = std::async(std::launch::async, [this, number, batch = std::exchange(spare_, {})]() mutable {
        for (std::size_t i = 0; i < array_count; ++i)
            batch.arrays[i] = file_.read(batches_[number][i], std::move(batch.arrays[i]));
        return std::move(batch);
    });
}

}  // namespace eckart::svd
