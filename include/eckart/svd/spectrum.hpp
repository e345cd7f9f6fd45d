#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace eckart::svd {

/// Eigenvalues lambda_1 >= lambda_2 >= ... of G = W'W, the squares of W's singular values, each with an
/// interval that holds the true one, and what is known beside them. The W-error of every dimension, with its
/// own interval, follows from this alone.
struct Spectrum {
    std::vector<double> lambda;  ///< descending, not negative
    std::vector<double> lambda_lower;
    std::vector<double> lambda_upper;
    std::vector<double> right_vectors;  ///< K x columns, row-major; row i belongs to lambda_i. May be empty
    double backward_error = 0;  ///< of them, measured: the largest ||G v - lambda v|| / lambda_1; 0: not
    std::vector<std::vector<std::int32_t>> left_contexts;  ///< contexts whose rows of U are kept
    std::vector<double> left_vectors;                      ///< left_contexts x K, row-major. May be empty
    std::vector<std::int64_t> token_ids;  ///< the token of each column; needed with `right_vectors`

    std::string method;            ///< "gram", "randomized"
    bool complete = false;         ///< all `columns` values are there, so their sum is `frobenius_squared`
    double frobenius_squared = 0;  ///< ||W||_F^2, counted exactly
    std::int64_t columns = 0;
    std::int64_t contexts = 0;           ///< rows of W
    double floor = 0;                    ///< a sigma below this is noise
    double failure_probability = 0;      ///< of the intervals; 0 where they are certain
    std::string row_weight = "uniform";  ///< or "count"
    std::string precision = "double";
    std::string matrix_digest;
    nlohmann::json recipe = nlohmann::json::object();
    nlohmann::json provenance = nlohmann::json::object();
    nlohmann::json stages = nlohmann::json::array();  ///< [{name, seconds, peak_bytes}], as in the manifest
    std::vector<std::string> notes;                   ///< what a reader of the numbers should know

    std::int64_t size() const { return static_cast<std::int64_t>(lambda.size()); }
    double sigma(std::int64_t i) const { return std::sqrt(lambda[static_cast<std::size_t>(i)]); }
    std::int64_t vector_count() const {
        return columns == 0 ? 0 : static_cast<std::int64_t>(right_vectors.size()) / columns;
    }
};

/// Throws `Error`, beginning with `name`, unless lengths agree, values are finite, not negative and
/// descending, and each lies in its interval.
void require_well_formed(const Spectrum& spectrum, const std::string& name);

enum class Vectors { read, skip };

/// Writes the spectrum as one HDF5 file, atomically, with a digest of all that it says.
/// Requires a well-formed spectrum.
void write_spectrum(const std::filesystem::path& path, const Spectrum& spectrum);
/// Throws `Error` naming the path when it is not a whole spectrum, or not the one that was written.
Spectrum read_spectrum(const std::filesystem::path& path, Vectors vectors = Vectors::skip);
/// The recipe of the finished spectrum at `path`; null when there is none, so that it is to be made.
nlohmann::json spectrum_recipe(const std::filesystem::path& path);

}  // namespace eckart::svd
