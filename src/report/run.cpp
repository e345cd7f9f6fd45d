#include "eckart/base/error.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/report/report.hpp"

namespace eckart::report {

namespace fs = std::filesystem;

namespace {

nlohmann::json read_verdict(const fs::path& path) {
    if (!fs::exists(path)) return nullptr;
    nlohmann::json verdict = nlohmann::json::parse(io::read_file(path), nullptr, false);
    require(verdict.is_object() && verdict.value("format", "") == "eckart-verdict", "{} is not a verdict",
            path.string());
    return verdict;
}

std::string name_of(const fs::path& directory) {
    const fs::path full = fs::weakly_canonical(directory);
    return full.has_filename() ? full.filename().string() : full.parent_path().filename().string();
}

}  // namespace

Run read_run(const fs::path& directory, const std::string& label) {
    require(fs::is_directory(directory), "there is no run directory {}", directory.string());
    matrix::Manifest manifest = matrix::read_manifest(directory / "matrix");
    svd::Spectrum spectrum = svd::read_spectrum(directory / "spectrum.h5");
    require(spectrum.matrix_digest == manifest.digest.hex(),
            "{}: the spectrum is of another matrix than the one beside it", directory.string());
    WErrorCurve curve(spectrum);
    return {.label = label.empty() ? name_of(directory) : label,
            .directory = directory,
            .manifest = std::move(manifest),
            .spectrum = std::move(spectrum),
            .verdict = read_verdict(directory / "verdict.json"),
            .curve = std::move(curve)};
}

}  // namespace eckart::report
