#include "eckart/svd/gram_forecast.hpp"

#include "eckart/base/memory_plan.hpp"
#include "eckart/dense/machine_rates.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/svd/cross_product.hpp"

#include <algorithm>
#include <chrono>

namespace eckart::svd {

namespace {

/// The pass over the blocks, from some of them.
struct PassForecast {
    double pairs = 0;         ///< additions to G
    double read_seconds = 0;  ///< over all ranks
};

PassForecast forecast_pass(const mpi::Communicator& comm, const matrix::MatrixReader& reader) {
    constexpr std::int64_t blocks_a_rank = 2;
    double pairs = 0, nonzeros = 0, all = 0;
    const auto start = std::chrono::steady_clock::now();
    mpi::agree(comm, [&] {
        for (const matrix::BlockEntry& block : reader.manifest().blocks)
            all += static_cast<double>(block.nonzeros);
        for (std::int64_t i = 0; i < blocks_a_rank; ++i) {
            const std::int64_t number = comm.rank() + i * comm.size();
            if (number >= reader.block_count()) return;
            const matrix::CsrBlock block = reader.block(number);
            nonzeros += static_cast<double>(block.nonzeros());
            for (std::int64_t row = 0; row < block.rows(); ++row) {
                const double length = static_cast<double>(block.indptr[row + 1] - block.indptr[row]);
                pairs += length * (length + 1) / 2;
            }
        }
    });
    const double seconds =
        mpi::all_max(comm, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    pairs = mpi::all_sum(comm, pairs), nonzeros = mpi::all_sum(comm, nonzeros);
    if (nonzeros == 0) return {};
    return {pairs * all / nonzeros, seconds * all / nonzeros};
}

std::string seconds_line(const std::string& what, double seconds) {
    return fmt::format("  {:<52} {:>12}\n", what, format_seconds(seconds));
}

}  // namespace

std::string gram_forecast(const mpi::Communicator& comm, const matrix::MatrixReader& reader,
                          const GramOptions& options) {
    const bool twice = options.precision == Precision::double_;
    const std::int64_t n = most_coupled_columns(reader), bytes = twice ? sizeof(double) : sizeof(float);
    const dense::MachineRates rates = twice ? dense::measure_rates<double>(comm, available_cores())
                                            : dense::measure_rates<float>(comm, available_cores());
    const PassForecast pass = forecast_pass(comm, reader);
    const dense::TwoStageSeconds solve = dense::two_stage_seconds(rates, n, options.vectors, bytes);
    const MemoryPlan plan = gram_memory_plan(reader, comm.size(), options);
    const double order = static_cast<double>(n), forming = pass.pairs / pairs_a_second / comm.size();
    std::string text = "memory a rank:\n" + plan.describe() + "\n";
    text += fmt::format("  ranks of such memory on which it fits: {} and more\n",
                        least_ranks(reader, 1, options));
    if (!options.checkpoint.empty())
        text += fmt::format("disk: {} in {} until the spectrum is written\n",
                            format_bytes(order * order / 2 * static_cast<double>(bytes)),
                            options.checkpoint.string());
    text += fmt::format(
        "this machine, ranks: {}; matrix products {:.1f} Gflop/s, memory {:.1f} GB/s, bulge chasing "
        "{:.1f} Gflop/s\n",
        comm.size(), rates.products / 1e9, rates.bandwidth / 1e9, rates.chase / 1e9);
    text += fmt::format("work: {} pairs into the cross product, {:.3g} flops for {} eigenvalues at most\n",
                        format_count(pass.pairs), 4.0 / 3.0 * order * order * order, n);
    text += seconds_line("reading the matrix", pass.read_seconds);
    text += seconds_line("forming the cross product", forming);
    text += seconds_line("to a band", solve.to_band);
    text += seconds_line("band to tridiagonal", solve.to_tridiagonal);
    text += seconds_line("eigenvalues", solve.values);
    if (options.vectors > 0) text += seconds_line(fmt::format("{} vectors", options.vectors), solve.vectors);
    return text + seconds_line("together", pass.read_seconds + forming + solve.total());
}

}  // namespace eckart::svd
