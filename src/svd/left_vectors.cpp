#include "eckart/svd/left_vectors.hpp"

#include "eckart/base/error.hpp"
#include "eckart/matrix/context_file.hpp"
#include "eckart/matrix/manifest.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace eckart::svd {

namespace {

/// u of one context: its row of W times V, over sigma.
std::vector<double> left_vector(const matrix::ContextRow& row, const Spectrum& spectrum, double ngrams) {
    double total = 0;
    for (const std::uint64_t count : row.counts) total += static_cast<double>(count);
    const double factor = (spectrum.row_weight == "count" ? std::sqrt(total / ngrams) : 1) / total;
    std::vector<double> u(static_cast<std::size_t>(spectrum.vector_count()));
    for (std::size_t e = 0; e < row.tokens.size(); ++e) {
        const auto at = std::lower_bound(spectrum.token_ids.begin(), spectrum.token_ids.end(), row.tokens[e]);
        require(at != spectrum.token_ids.end() && *at == row.tokens[e],
                "token {} of a kept context is no column of the matrix", row.tokens[e]);
        const auto column = at - spectrum.token_ids.begin();
        for (std::int64_t k = 0; k < spectrum.vector_count(); ++k)
            u[static_cast<std::size_t>(k)] +=
                factor * static_cast<double>(row.counts[e]) *
                spectrum.right_vectors[static_cast<std::size_t>(k * spectrum.columns + column)];
    }
    for (std::int64_t k = 0; k < spectrum.vector_count(); ++k)
        u[static_cast<std::size_t>(k)] *= spectrum.sigma(k) > spectrum.floor ? 1 / spectrum.sigma(k) : 0;
    return u;
}

}  // namespace

std::vector<std::vector<std::int32_t>> read_contexts(const std::filesystem::path& path) {
    std::ifstream file(path);
    require(file.is_open(), "{} cannot be read", path.string());
    std::vector<std::vector<std::int32_t>> contexts;
    std::string line;
    for (std::int64_t number = 1; std::getline(file, line); ++number) {
        std::istringstream words(line);
        std::vector<std::int32_t> context;
        for (std::int32_t token = 0; words >> token;) context.push_back(token);
        require(words.eof(), "{}, line {}: token ids are whole numbers", path.string(), number);
        if (!context.empty()) contexts.push_back(std::move(context));
    }
    return contexts;
}

std::vector<double> left_vectors(const std::filesystem::path& matrix, const Spectrum& spectrum,
                                 const std::vector<std::vector<std::int32_t>>& contexts) {
    const double ngrams = static_cast<double>(matrix::read_manifest(matrix).ngrams);
    std::map<std::vector<std::int32_t>, std::vector<double>> found;
    for (const auto& context : contexts) found[context];
    matrix::for_each_context(matrix, [&](const matrix::ContextRow& row) {
        const auto wanted = found.find({row.context.begin(), row.context.end()});
        if (wanted != found.end()) wanted->second = left_vector(row, spectrum, ngrams);
    });
    std::vector<double> all;
    for (const auto& context : contexts) {
        const std::vector<double>& u = found.at(context);
        std::string name;
        for (const std::int32_t token : context) name += fmt::format("{} ", token);
        require(!u.empty(), "the context {}does not occur in {}", name, matrix.string());
        all.insert(all.end(), u.begin(), u.end());
    }
    return all;
}

}  // namespace eckart::svd
