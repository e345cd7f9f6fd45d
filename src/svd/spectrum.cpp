#include "eckart/svd/spectrum.hpp"

#include "eckart/base/digest.hpp"
#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace eckart::svd {

namespace {

constexpr const char* format_name = "eckart-spectrum";
constexpr std::int64_t format_version = 1;

using Lists = std::array<std::pair<const char*, std::vector<double> Spectrum::*>, 3>;
constexpr Lists lists{{{"lambda", &Spectrum::lambda},
                       {"lambda_lower", &Spectrum::lambda_lower},
                       {"lambda_upper", &Spectrum::lambda_upper}}};

/// Everything that is not an array; each member becomes an attribute of the file.
nlohmann::json header_of(const Spectrum& s) {
    return {{"format", format_name},
            {"format_version", format_version},
            {"method", s.method},
            {"complete_spectrum", static_cast<std::int64_t>(s.complete)},
            {"frobenius_squared", s.frobenius_squared},
            {"columns", s.columns},
            {"contexts", s.contexts},
            {"floor", s.floor},
            {"failure_probability", s.failure_probability},
            {"row_weight", s.row_weight},
            {"precision", s.precision},
            {"matrix_digest", s.matrix_digest},
            {"recipe", s.recipe.dump()},
            {"provenance", s.provenance.dump()},
            {"stages", s.stages.dump()},
            {"notes", nlohmann::json(s.notes).dump()}};
}

void write_header(io::Hdf5File& file, const nlohmann::json& header) {
    for (const auto& [name, value] : header.items()) {
        if (value.is_string())
            file.set_attribute("/", name, value.get<std::string>());
        else if (value.is_number_float())
            file.set_attribute("/", name, value.get<double>());
        else
            file.set_attribute("/", name, value.get<std::int64_t>());
    }
}

Spectrum read_header(const io::Hdf5File& file) {
    const auto number = [&](const char* name) { return file.attribute<double>("/", name); };
    const auto count = [&](const char* name) { return file.attribute<std::int64_t>("/", name); };
    const auto text = [&](const char* name) { return file.text_attribute("/", name); };
    require(file.has_attribute("/", "format") && text("format") == format_name, "{} is not a spectrum",
            file.path().string());
    require(count("format_version") == format_version, "{} has format version {}, this program reads {}",
            file.path().string(), count("format_version"), format_version);
    Spectrum s;
    s.method = text("method");
    s.complete = count("complete_spectrum") != 0;
    s.frobenius_squared = number("frobenius_squared");
    s.columns = count("columns");
    s.contexts = count("contexts");
    s.floor = number("floor");
    s.failure_probability = number("failure_probability");
    s.row_weight = text("row_weight");
    s.precision = text("precision");
    s.matrix_digest = text("matrix_digest");
    s.recipe = nlohmann::json::parse(text("recipe"));
    s.provenance = nlohmann::json::parse(text("provenance"));
    s.stages = nlohmann::json::parse(text("stages"));
    s.notes = nlohmann::json::parse(text("notes")).get<std::vector<std::string>>();
    return s;
}

std::vector<double> sigma_of(const std::vector<double>& lambda) {
    std::vector<double> sigma(lambda.size());
    std::transform(lambda.begin(), lambda.end(), sigma.begin(),
                   [](double value) { return std::sqrt(value); });
    return sigma;
}

std::string digest_of_contents(const Spectrum& s, const std::vector<double>& sigma) {
    Hasher hasher;
    hasher.add(header_of(s).dump());
    for (const auto& [name, list] : lists) hasher.add(std::as_bytes(std::span(s.*list)));
    hasher.add(std::as_bytes(std::span(sigma)));
    hasher.add(std::as_bytes(std::span(s.token_ids)));
    return hasher.digest().hex();
}

Spectrum read_contents(const io::Hdf5File& file, Vectors vectors) {
    Spectrum s = read_header(file);
    for (const auto& [name, list] : lists) s.*list = file.read<double>(name);
    if (file.exists("token_ids")) s.token_ids = file.read<std::int64_t>("token_ids");
    require(file.text_attribute("/", "digest") == digest_of_contents(s, file.read<double>("sigma")),
            "{}: the spectrum is not the one that was written (its digest differs)", file.path().string());
    if (vectors == Vectors::skip || !file.exists("right_vectors")) return s;
    s.right_vectors = file.read<double>("right_vectors");
    s.backward_error = file.attribute<double>("right_vectors", "backward_error");
    require(file.text_attribute("right_vectors", "digest") ==
                digest_of(std::span<const double>(s.right_vectors)).hex(),
            "{}: the vectors are not those that were written (their digest differs)", file.path().string());
    return s;
}

}  // namespace

void require_well_formed(const Spectrum& s, const std::string& name) {
    const auto size = s.lambda.size();
    require(s.lambda_lower.size() == size && s.lambda_upper.size() == size,
            "{}: {} values with {} lower and {} upper bounds", name, size, s.lambda_lower.size(),
            s.lambda_upper.size());
    require(s.size() <= s.columns, "{}: {} values of {} columns", name, s.size(), s.columns);
    require(!s.complete || s.size() == s.columns, "{}: said to be complete with {} values of {}", name,
            s.size(), s.columns);
    require(std::isfinite(s.frobenius_squared) && s.frobenius_squared >= 0 && s.floor >= 0,
            "{}: ||W||_F^2 is {}, the floor {}", name, s.frobenius_squared, s.floor);
    for (std::size_t i = 0; i < size; ++i) {
        const double lower = s.lambda_lower[i], value = s.lambda[i], upper = s.lambda_upper[i];
        require(std::isfinite(value) && std::isfinite(lower) && std::isfinite(upper),
                "{}: value {} is not finite", name, i + 1);
        require(value >= 0 && (i == 0 || value <= s.lambda[i - 1]),
                "{}: value {} is negative or out of order", name, i + 1);
        require(lower <= value && value <= upper, "{}: value {} is {}, outside its interval {}..{}", name,
                i + 1, value, lower, upper);
    }
    require(s.right_vectors.empty() ||
                (s.columns > 0 && s.right_vectors.size() % static_cast<std::size_t>(s.columns) == 0 &&
                 s.vector_count() <= s.size() && s.token_ids.size() == static_cast<std::size_t>(s.columns)),
            "{}: the vectors do not fit the {} columns", name, s.columns);
}

void write_spectrum(const std::filesystem::path& path, const Spectrum& spectrum) {
    require_well_formed(spectrum, path.string());
    io::PendingFile pending(path);
    io::Hdf5File file = io::Hdf5File::create(pending.partial());
    write_header(file, header_of(spectrum));
    const std::vector<double> sigma = sigma_of(spectrum.lambda);
    file.write("sigma", sigma);
    for (const auto& [name, list] : lists) file.write(name, spectrum.*list);
    if (!spectrum.token_ids.empty()) file.write("token_ids", spectrum.token_ids);
    if (!spectrum.right_vectors.empty()) {
        file.write("right_vectors", spectrum.right_vectors, {spectrum.vector_count(), spectrum.columns});
        file.set_attribute("right_vectors", "digest",
                           digest_of(std::span<const double>(spectrum.right_vectors)).hex());
        file.set_attribute("right_vectors", "backward_error", spectrum.backward_error);
    }
    if (!spectrum.left_vectors.empty()) {
        std::vector<std::int32_t> contexts;
        for (const auto& context : spectrum.left_contexts)
            contexts.insert(contexts.end(), context.begin(), context.end());
        const auto rows = static_cast<std::int64_t>(spectrum.left_contexts.size());
        file.write("left_contexts", contexts, {rows, static_cast<std::int64_t>(contexts.size()) / rows});
        file.write("left_vectors", spectrum.left_vectors, {rows, spectrum.vector_count()});
    }
    file.set_attribute("/", "digest", digest_of_contents(spectrum, sigma));
    file.close();
    pending.commit();
}

Spectrum read_spectrum(const std::filesystem::path& path, Vectors vectors) {
    require(std::filesystem::exists(path), "there is no spectrum {}", path.string());
    try {
        Spectrum spectrum = read_contents(io::Hdf5File::open(path), vectors);
        require_well_formed(spectrum, path.string());
        return spectrum;
    } catch (const nlohmann::json::exception& error) {
        throw Error("{} is not a whole spectrum: {}", path.string(), error.what());
    }
}

nlohmann::json spectrum_recipe(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) return nullptr;
    return read_spectrum(path).recipe;
}

}  // namespace eckart::svd
