#pragma once

#include "eckart/base/progress.hpp"
#include "eckart/mpi/communicator.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

#include <boost/program_options.hpp>

namespace eckart::driver {

namespace po = boost::program_options;

/// A parsed command line. When `message` is not empty (--help, --version) it is to be printed instead of
/// working.
struct Command {
    po::variables_map values;
    std::string message;

    template <typename T>
    T get(const std::string& option) const {
        return values[option].as<T>();
    }
    bool has(const std::string& option) const { return values.count(option) > 0; }
    bool flag(const std::string& option) const { return values[option].as<bool>(); }
};

/// Parses `argv` and, when given, the file named by --config (one `option = value` a line; the command line
/// wins).
/// --help and --version are added. Throws `UsageError` naming the option that is unknown, repeated, missing
/// or malformed. `synopsis` is the usage line, `summary` a sentence on what the program does.
Command parse_command(int argc, const char* const* argv, const std::string& synopsis,
                      const std::string& summary, const po::options_description& options,
                      const po::positional_options_description& positional = {});

/// The options of every MPI job: --memory (cap a rank), --stage I/N and --status FILE (set by `eckart run`).
po::options_description job_options();
/// The cap a rank: --memory, or by default 80 % of what the node offers over the ranks on it. Collective.
std::int64_t memory_per_rank(const Command& command, const mpi::Communicator& world);
/// The job's progress: on stderr on rank 0, silent elsewhere.
Progress job_progress(const Command& command, const std::string& job, const mpi::Communicator& world);

}  // namespace eckart::driver
