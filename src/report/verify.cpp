#include "eckart/report/verify.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/io/artefact.hpp"
#include "eckart/io/hdf5.hpp"
#include "eckart/matrix/matrix_reader.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

namespace eckart::report {

namespace fs = std::filesystem;

namespace {

using matrix::CsrBlock;
using matrix::RowWeight;

/// Relative errors that are forgiven: of sums of exactly counted numbers, and of what a solver computed.
constexpr double counted_tolerance = 1e-13;
constexpr double double_tolerance = 1e-10;
constexpr double single_tolerance = 1e-4;

template <typename... Args>
Check check(std::string name, bool passed, fmt::format_string<Args...> found, Args&&... args) {
    return {std::move(name), passed, fmt::format(found, std::forward<Args>(args)...)};
}

Check equal(std::string name, std::int64_t said, std::int64_t found) {
    return said == found ? check(std::move(name), true, "{}", found)
                         : check(std::move(name), false, "{}, the manifest says {}", found, said);
}

/// Right singular vectors to try, with the values they belong to.
struct Sample {
    std::vector<std::int64_t> numbers;
    std::vector<std::vector<double>> vectors;
};

/// What one pass over the rows finds; summed over the ranks.
struct Tally {
    explicit Tally(std::int64_t column_count, std::size_t vectors)
        : column_sums(static_cast<std::size_t>(column_count)),
          diagonal(static_cast<std::size_t>(column_count)),
          uses(static_cast<std::size_t>(column_count)),
          quotients(vectors) {}

    std::int64_t rows = 0, nonzeros = 0, unmerged_nonzeros = 0, contexts = 0, ngrams = 0;
    std::int64_t unreduced = 0;   ///< rows with a common divisor
    std::int64_t unbalanced = 0;  ///< rows whose n-grams are not a multiple of their counts
    Digest digest;
    long double frobenius = 0, frobenius_by_count = 0;  ///< 64-bit mantissa: a billion rows cost no digit
    double weight = 0;
    std::vector<double> column_sums;  ///< W'1, weighted: sum_r m_r p_r
    std::vector<double> diagonal;     ///< of G
    std::vector<std::int64_t> uses;   ///< rows that hold the column
    std::vector<double> quotients;    ///< v'Gv of the sample
    std::vector<std::string> damage;  ///< blocks that could not be read as they were written
};

/// Adds rows to a tally.
class RowCounter {
public:
    RowCounter(Tally& tally, const matrix::MatrixReader& reader, RowWeight weighting, const Sample& sample)
        : tally_(tally), reader_(reader), weighting_(weighting), sample_(sample) {}

    void add(const CsrBlock& block) {
        for (std::int64_t row = 0; row < block.rows(); ++row) add_row(block, row);
    }

    /// The merged rows with a single successor, which lie in the columns' file.
    void add_one_hot() {
        const matrix::Columns& columns = reader_.columns();
        for (std::size_t j = 0; j < columns.token_ids.size(); ++j) {
            const std::int64_t multiplicity = columns.one_hot_multiplicity[j],
                               ngrams = columns.one_hot_weight[j];
            if (multiplicity == 0 && ngrams == 0) continue;
            tally_.unbalanced += multiplicity <= 0 || ngrams < multiplicity;
            add_counts(1, multiplicity, ngrams);
            add_entry(static_cast<std::int32_t>(j), 1, factor(multiplicity, ngrams));
            add_energy(1, multiplicity, ngrams);
            for (std::size_t v = 0; v < sample_.vectors.size(); ++v)
                tally_.quotients[v] +=
                    factor(multiplicity, ngrams) * sample_.vectors[v][j] * sample_.vectors[v][j];
        }
    }

private:
    double factor(std::int64_t multiplicity, std::int64_t ngrams) const {
        return weighting_ == RowWeight::uniform ? static_cast<double>(multiplicity) : share(ngrams);
    }
    double share(std::int64_t ngrams) const {
        return static_cast<double>(ngrams) / static_cast<double>(reader_.manifest().ngrams);
    }

    void add_row(const CsrBlock& block, std::int64_t row) {
        const auto counts = block.row_data(row);
        const auto indices = block.row_indices(row);
        const std::int64_t multiplicity = block.multiplicity[row], ngrams = block.weight[row];
        tally_.digest +=
            matrix::row_digest(reader_.columns().token_ids, indices, counts, multiplicity, ngrams);
        const std::uint64_t divisor = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0},
                                                      std::gcd<std::uint64_t, std::uint64_t>);
        const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
        tally_.unreduced += divisor != 1;
        const auto copies = static_cast<std::uint64_t>(ngrams) / total;
        tally_.unbalanced += copies * total != static_cast<std::uint64_t>(ngrams) ||
                             copies < static_cast<std::uint64_t>(multiplicity);
        add_counts(static_cast<std::int64_t>(counts.size()), multiplicity, ngrams);
        const double scale = 1 / static_cast<double>(total), m = factor(multiplicity, ngrams);
        long double squares = 0;
        for (std::size_t at = 0; at < counts.size(); ++at) {
            const double p = static_cast<double>(counts[at]) * scale;
            squares += static_cast<long double>(p) * p;
            add_entry(indices[at], p, m);
        }
        add_energy(static_cast<double>(squares), multiplicity, ngrams);
        add_quotients(indices, counts, scale, m);
    }

    void add_counts(std::int64_t entries, std::int64_t multiplicity, std::int64_t ngrams) {
        ++tally_.rows;
        tally_.nonzeros += entries;
        tally_.unmerged_nonzeros += entries * multiplicity;
        tally_.contexts += multiplicity;
        tally_.ngrams += ngrams;
        tally_.weight += factor(multiplicity, ngrams);
    }
    void add_energy(double squares, std::int64_t multiplicity, std::int64_t ngrams) {
        tally_.frobenius += static_cast<long double>(multiplicity) * squares;
        tally_.frobenius_by_count += static_cast<long double>(share(ngrams)) * squares;
    }
    void add_entry(std::int32_t column, double p, double m) {
        const auto j = static_cast<std::size_t>(column);
        tally_.column_sums[j] += m * p;
        tally_.diagonal[j] += m * p * p;
        ++tally_.uses[j];
    }
    void add_quotients(std::span<const std::int32_t> indices, std::span<const std::uint64_t> counts,
                       double scale, double m) {
        for (std::size_t v = 0; v < sample_.vectors.size(); ++v) {
            double product = 0;
            for (std::size_t at = 0; at < counts.size(); ++at)
                product += static_cast<double>(counts[at]) *
                           sample_.vectors[v][static_cast<std::size_t>(indices[at])];
            tally_.quotients[v] += m * product * product * scale * scale;
        }
    }

    Tally& tally_;
    const matrix::MatrixReader& reader_;
    RowWeight weighting_;
    const Sample& sample_;
};

void sum_over_ranks(const mpi::Communicator& comm, Tally& tally) {
    for (std::int64_t Tally::*count :
         {&Tally::rows, &Tally::nonzeros, &Tally::unmerged_nonzeros, &Tally::contexts, &Tally::ngrams,
          &Tally::unreduced, &Tally::unbalanced})
        tally.*count = mpi::all_sum(comm, tally.*count);
    for (long double Tally::*sum : {&Tally::frobenius, &Tally::frobenius_by_count})
        tally.*sum = mpi::all_sum(comm, static_cast<double>(tally.*sum));
    tally.weight = mpi::all_sum(comm, tally.weight);
    tally.digest = mpi::all_sum(comm, tally.digest);
    mpi::all_sum(comm, std::span(tally.column_sums));
    mpi::all_sum(comm, std::span(tally.diagonal));
    mpi::all_sum(comm, std::span(tally.uses));
    mpi::all_sum(comm, std::span(tally.quotients));
    std::string mine;
    for (const std::string& text : tally.damage) mine += text + "\n";
    tally.damage.clear();
    for (const std::string& text : mpi::all_gather(comm, mine))
        for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
            tally.damage.push_back(text.substr(at, text.find('\n', at) - at));
}

/// The rank's share of the blocks, each read, proved and counted; a block that cannot be is noted.
Tally tally_matrix(const mpi::Communicator& comm, const matrix::MatrixReader& reader, RowWeight weighting,
                   const Sample& sample, Progress& progress) {
    Tally tally(reader.column_count(), sample.vectors.size());
    RowCounter counter(tally, reader, weighting, sample);
    const std::vector<std::int64_t> mine = reader.share(comm.rank(), comm.size());
    progress.begin("read and count every block", static_cast<std::int64_t>(mine.size()), "blocks");
    for (std::size_t at = 0; at < mine.size() && !interrupt_requested(); ++at) {
        const matrix::BlockEntry& entry = reader.manifest().blocks[static_cast<std::size_t>(mine[at])];
        try {
            const CsrBlock block = reader.block(mine[at]);
            require(block.rows() == entry.rows && block.nonzeros() == entry.nonzeros,
                    "{} {}: {} rows with {} non-zeros, the manifest says {} with {}", entry.file, entry.group,
                    block.rows(), block.nonzeros(), entry.rows, entry.nonzeros);
            counter.add(block);
        } catch (const Error& error) {
            tally.damage.emplace_back(error.what());
        }
        progress.update(static_cast<std::int64_t>(at + 1));
    }
    mpi::stop_if_interrupted(comm, "verification begins anew");
    if (comm.is_root()) counter.add_one_hot();
    sum_over_ranks(comm, tally);
    progress.end();
    return tally;
}

// ---- the matrix -------------------------------------------------------------------------------------------

Check check_columns(const matrix::MatrixReader& reader) {
    const auto& ids = reader.columns().token_ids;
    const std::int64_t vocabulary = reader.manifest().vocabulary;
    const auto disorder = std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>());
    const bool inside = ids.empty() || (ids.front() >= 0 && ids.back() < vocabulary);
    return check("the columns' tokens ascend and are in the vocabulary", disorder == ids.end() && inside,
                 "{} columns, vocabulary {}", ids.size(), vocabulary);
}

/// Every document of L tokens has max(0, L - n + 1) n-grams: no more than its tokens, at most n - 1 fewer.
Check check_documents(const matrix::Manifest& m) {
    const std::int64_t least = std::max<std::int64_t>(0, m.tokens - m.documents * (m.order - 1));
    return check("the n-grams expected fit the documents and tokens",
                 least <= m.expected_ngrams && m.expected_ngrams <= m.tokens,
                 "{} in {} documents with {} tokens", m.expected_ngrams, m.documents, m.tokens);
}

Check check_ngrams(const matrix::Manifest& m, const Tally& tally) {
    const bool filtered = m.recipe.is_object() && (m.recipe.value("min_count", 1) > 1 ||
                                                   m.recipe.value("sample_contexts", "all") != "all");
    const bool holds = tally.ngrams == m.ngrams &&
                       (filtered ? tally.ngrams <= m.expected_ngrams : tally.ngrams == m.expected_ngrams);
    return check("counts sum to sum over documents of max(0, L - n + 1)", holds,
                 "{} counted, {} expected{}, the manifest says {}", tally.ngrams, m.expected_ngrams,
                 filtered ? " before the filter" : "", m.ngrams);
}

Check close_to(std::string name, double said, double found) {
    return check(std::move(name), std::abs(said - found) <= counted_tolerance * std::abs(found),
                 "{:.17g} summed here, {:.17g} said", found, said);
}

std::vector<Check> check_matrix(const matrix::MatrixReader& reader, const Tally& tally) {
    const matrix::Manifest& m = reader.manifest();
    const matrix::Columns& columns = reader.columns();
    std::vector<Check> checks{check_columns(reader), check_documents(m)};
    checks.push_back(
        check("every block is the one that was written", tally.damage.empty(), "{}",
              tally.damage.empty() ? fmt::format("{} blocks", m.blocks.size()) : tally.damage.front()));
    if (!tally.damage.empty()) return checks;  // the sums below would only repeat it
    const auto one_hot_rows = std::count_if(columns.one_hot_multiplicity.begin(),
                                            columns.one_hot_multiplicity.end(), std::identity());
    const auto one_hot_contexts = std::accumulate(columns.one_hot_multiplicity.begin(),
                                                  columns.one_hot_multiplicity.end(), std::int64_t{0});
    checks.push_back(check_ngrams(m, tally));
    checks.push_back(check("every row sums to its total", tally.unbalanced == 0, "{} of {} rows do not",
                           tally.unbalanced, tally.rows));
    checks.push_back(
        check("no row has a common divisor", tally.unreduced == 0, "{} rows have", tally.unreduced));
    checks.push_back(equal("contexts", m.contexts, tally.contexts));
    checks.push_back(equal("non-zeros of W", m.nonzeros, tally.unmerged_nonzeros));
    checks.push_back(equal("merged rows", m.merged_rows, tally.rows));
    checks.push_back(equal("merged non-zeros", m.merged_nonzeros, tally.nonzeros));
    checks.push_back(equal("one-hot rows", m.one_hot_rows, one_hot_rows));
    checks.push_back(equal("contexts with one successor", m.one_hot_contexts, one_hot_contexts));
    const auto unused = std::count(tally.uses.begin(), tally.uses.end(), 0);
    checks.push_back(check("every column is used", unused == 0, "{} are not", unused));
    Digest digest = matrix::header_digest(m, columns);
    digest += tally.digest;
    const bool same = digest == m.digest;
    checks.push_back(check("the matrix has its digest", same, "{}{}", digest.hex(),
                           same ? "" : ", the manifest says " + m.digest.hex()));
    checks.push_back(
        close_to("||W||_F^2", m.frobenius_squared.value(), static_cast<double>(tally.frobenius)));
    checks.push_back(close_to("||W||_F^2 by count", m.frobenius_squared_by_count,
                              static_cast<double>(tally.frobenius_by_count)));
    return checks;
}

// ---- the spectrum -----------------------------------------------------------------------------------------

double tolerance_of(const svd::Spectrum& s) {
    return s.precision == "double" ? double_tolerance : single_tolerance;
}

double sum_of(const std::vector<double>& values) {
    long double sum = 0;
    for (const double value : values) sum += value;
    return static_cast<double>(sum);
}

Check check_values(const svd::Spectrum& s, const fs::path& path) {
    const std::vector<double> sigma = io::Hdf5File::open(path).read<double>("sigma");
    std::int64_t faults = sigma.size() == s.lambda.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(sigma.size(), s.lambda.size()); ++i) {
        const bool holds = std::isfinite(sigma[i]) && sigma[i] >= 0 && (i == 0 || sigma[i] <= sigma[i - 1]) &&
                           std::abs(sigma[i] * sigma[i] - s.lambda[i]) <= 1e-14 * s.lambda[i];
        faults += !holds;
    }
    return check("values are finite, not negative and descending", faults == 0, "{} values, {} faults",
                 sigma.size(), faults);
}

Check check_energy(const svd::Spectrum& s) {
    const double sum = sum_of(s.lambda), total = s.frobenius_squared, slack = tolerance_of(s) * total;
    return check(s.complete ? "all sigma^2 sum to ||W||_F^2" : "sigma^2 sum to no more than ||W||_F^2",
                 sum <= total + slack && (!s.complete || sum >= total - slack),
                 "{:.17g} of {:.17g} ({:+.2g} relative)", sum, total,
                 total > 0 ? (sum - total) / total : 0.0);
}

Check check_intervals(const svd::Spectrum& s) {
    const double lower = sum_of(s.lambda_lower), upper = sum_of(s.lambda_upper), total = s.frobenius_squared;
    return check(
        "the intervals admit ||W||_F^2",
        lower <= total * (1 + counted_tolerance) && (!s.complete || upper >= total * (1 - counted_tolerance)),
        "lower ends sum to {:.17g}, upper ends to {:.17g}", lower, upper);
}

/// G has no negative entry and G1 = W'1 =: s, so ||s||^2 / (rows) <= lambda_1 <= max s (Perron, Frobenius).
Check check_largest(const svd::Spectrum& s, const Tally& tally) {
    const double slack = 1 + tolerance_of(s);
    const double most = tally.column_sums.empty() ? 0 : *std::ranges::max_element(tally.column_sums);
    double squares = 0;
    for (const double sum : tally.column_sums) squares += sum * sum;
    const double least = tally.weight > 0 ? squares / tally.weight : 0;
    const bool holds = s.lambda.empty() ||
                       (s.lambda_upper.front() * slack >= least && s.lambda_lower.front() <= most * slack);
    return check("sigma_1^2 is possible for these column sums", holds, "between {:.6g} and {:.6g}", least,
                 most);
}

/// The d largest entries of G's diagonal never exceed the d largest eigenvalues in sum (Schur 1923, Horn
/// 1954).
Check check_majorisation(const svd::Spectrum& s, std::vector<double> diagonal) {
    std::sort(diagonal.begin(), diagonal.end(), std::greater<>());
    long double entries = 0, values = 0;
    std::int64_t fault = 0;
    for (std::size_t i = 0; i < std::min(s.lambda.size(), diagonal.size()) && fault == 0; ++i) {
        entries += diagonal[i];
        values += s.lambda_upper[i];
        const double slack = tolerance_of(s) * s.frobenius_squared;
        if (entries > values + slack) fault = static_cast<std::int64_t>(i + 1);
    }
    return check("the values majorise the diagonal of G", fault == 0, "{}",
                 fault == 0 ? fmt::format("for d = 1..{}", s.lambda.size())
                            : fmt::format("the first {} are too small", fault));
}

/// v'v = 1 and v'Gv = sigma^2 for the sample, v'w = 0 within it.
Check check_vectors(const svd::Spectrum& s, const Sample& sample, const Tally& tally) {
    const double slack = 1e2 * tolerance_of(s);
    double skew = 0, error = 0;
    for (std::size_t a = 0; a < sample.vectors.size(); ++a) {
        for (std::size_t b = 0; b <= a; ++b) {
            const auto &v = sample.vectors[a], &w = sample.vectors[b];
            const double product = std::inner_product(v.begin(), v.end(), w.begin(), 0.0);
            skew = std::max(skew, std::abs(product - (a == b ? 1 : 0)));
        }
        const double lambda = s.lambda[static_cast<std::size_t>(sample.numbers[a])];
        error = std::max(error, std::abs(tally.quotients[a] - lambda) / s.lambda.front());
    }
    return check("vectors are orthonormal and give their values", skew <= slack && error <= slack,
                 "{} tried: v'w off by {:.2g}, v'Gv by {:.2g} of sigma_1^2", sample.vectors.size(), skew,
                 error);
}

std::vector<Check> check_spectrum(const svd::Spectrum& s, const fs::path& path,
                                  const matrix::MatrixReader& reader, RowWeight weighting,
                                  const Sample& sample, const Tally& tally) {
    const matrix::Manifest& m = reader.manifest();
    std::vector<Check> checks;
    checks.push_back(
        check("the spectrum is of this matrix",
              s.matrix_digest == m.digest.hex() && s.columns == m.columns && s.contexts == m.contexts,
              "{} x {}, digest {}", s.contexts, s.columns, s.matrix_digest));
    checks.push_back(close_to("the spectrum's total is ||W||_F^2", s.frobenius_squared,
                              reader.frobenius_squared(weighting)));
    checks.push_back(check_values(s, path));
    checks.push_back(check_energy(s));
    checks.push_back(check_intervals(s));
    if (!tally.damage.empty() || s.columns != m.columns) return checks;
    checks.push_back(check_largest(s, tally));
    checks.push_back(check_majorisation(s, tally.diagonal));
    if (!sample.vectors.empty()) checks.push_back(check_vectors(s, sample, tally));
    return checks;
}

/// Size and time of last change: enough to see that a file is not the one that was checked.
nlohmann::json stamp_of(const fs::path& path) {
    std::error_code ignored;
    const auto size = fs::file_size(path, ignored);
    const auto time = fs::last_write_time(path, ignored).time_since_epoch().count();
    return {{"bytes", size}, {"changed", time}};
}

/// The spectrum, or why it is not one. Every rank reads it.
struct SpectrumOrFault {
    std::optional<svd::Spectrum> spectrum;
    std::string fault;
};

SpectrumOrFault try_spectrum(const fs::path& path) {
    try {
        return {svd::read_spectrum(path), ""};
    } catch (const Error& error) {
        return {std::nullopt, error.what()};
    }
}

/// The first, the middle and the last vector, where there are any for these columns.
Sample sample_vectors(const fs::path& path, std::int64_t columns) {
    const io::Hdf5File file = io::Hdf5File::open(path);
    Sample sample;
    if (!file.exists("right_vectors")) return sample;
    const std::vector<std::int64_t> shape = file.shape("right_vectors");
    if (shape.size() != 2 || shape[0] == 0 || shape[1] != columns) return sample;
    for (const std::int64_t number : {std::int64_t{0}, shape[0] / 2, shape[0] - 1}) {
        if (!sample.numbers.empty() && sample.numbers.back() == number) continue;
        sample.numbers.push_back(number);
        sample.vectors.emplace_back(static_cast<std::size_t>(columns));
        file.read_part("right_vectors", number * columns, std::span(sample.vectors.back()));
    }
    return sample;
}

}  // namespace

bool Verdict::passed() const {
    return std::all_of(checks.begin(), checks.end(), [](const Check& c) { return c.passed; });
}

nlohmann::json verdict_recipe(const fs::path& matrix_directory, const fs::path& spectrum_path) {
    std::error_code ignored;
    nlohmann::json matrix = nlohmann::json::object();
    for (const fs::directory_entry& file : fs::directory_iterator(matrix_directory, ignored))
        if (const std::string name = file.path().filename().string(); !name.starts_with('.'))  // a lock
            matrix[name] = stamp_of(file.path());
    return {{"matrix", matrix}, {"spectrum", stamp_of(spectrum_path)}};
}

bool has_passed(const fs::path& path, const nlohmann::json& recipe) {
    if (!fs::exists(path)) return false;
    const nlohmann::json old = nlohmann::json::parse(io::read_file(path), nullptr, false);
    return old.is_object() && old.value("passed", false) && old.value("recipe", nlohmann::json()) == recipe;
}

void write_verdict(const fs::path& path, const Verdict& verdict, const nlohmann::json& recipe,
                   const nlohmann::json& provenance, const Progress& progress) {
    nlohmann::json checks = nlohmann::json::array(), stages = nlohmann::json::array();
    for (const Check& c : verdict.checks)
        checks.push_back({{"name", c.name}, {"passed", c.passed}, {"found", c.found}});
    for (const Progress::Step& step : progress.steps())
        stages.push_back({{"name", step.name}, {"seconds", step.seconds}, {"peak_bytes", step.peak_bytes}});
    const nlohmann::json json = {{"format", "eckart-verdict"}, {"format_version", 1},     {"complete", true},
                                 {"passed", verdict.passed()}, {"checks", checks},        {"stages", stages},
                                 {"recipe", recipe},           {"provenance", provenance}};
    io::write_file(path, json.dump(1) + "\n");
}

Verdict verify(const mpi::Communicator& comm, const fs::path& matrix_directory, const fs::path& spectrum_path,
               Progress& progress) {
    std::optional<matrix::MatrixReader> reader;
    SpectrumOrFault read;
    Sample sample;
    mpi::agree(comm, [&] {
        reader.emplace(matrix_directory);
        read = try_spectrum(spectrum_path);
        if (read.spectrum) sample = sample_vectors(spectrum_path, reader->column_count());
    });
    const bool by_count = read.spectrum && read.spectrum->row_weight == "count";
    const RowWeight weighting = by_count ? RowWeight::count : RowWeight::uniform;
    const Tally tally = tally_matrix(comm, *reader, weighting, sample, progress);
    Verdict verdict{check_matrix(*reader, tally)};
    verdict.checks.push_back(
        check("the spectrum's file is whole", read.spectrum.has_value(), "{}",
              read.spectrum ? fmt::format("{} values", read.spectrum->size()) : read.fault));
    if (!read.spectrum) return verdict;
    for (Check& c : check_spectrum(*read.spectrum, spectrum_path, *reader, weighting, sample, tally))
        verdict.checks.push_back(std::move(c));
    return verdict;
}

}  // namespace eckart::report
