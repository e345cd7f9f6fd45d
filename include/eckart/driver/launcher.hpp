#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace eckart::driver {

/// How the ranks of a job lie on this machine.
struct Placement {
    int ranks = 1;
    int threads = 1;  ///< of each rank
    int cores = 1;    ///< this process may use, or those of the SLURM job
    int nodes = 1;    ///< of the SLURM job
    bool oversubscribe = false;

    std::string describe() const;  // "2 ranks x 1 thread on 2 cores"
};

/// `ranks` and `threads` as asked; 0 means: in a SLURM job its tasks and their CPUs; else as many ranks as
/// cores, the cores left over as threads.
Placement place(int ranks, int threads, bool oversubscribe);

/// While it lives, this process and what it starts may use `count` of its cores only (fewer when there are
/// not so many).
class CoreLimit {
public:
    explicit CoreLimit(int count);
    ~CoreLimit();
    CoreLimit(CoreLimit&&) = delete;

private:
    std::vector<int> before_;
};

using Environment = std::map<std::string, std::string>;
/// What a rank's environment must say: threads, no binding, and yielding when ranks outnumber cores.
Environment launch_environment(const Placement& placement);
/// The program beside the one that is running. Throws `Error` naming the path when it is not there.
std::filesystem::path program_path(const std::string& name);
/// `mpirun -n RANKS PROGRAM ARGUMENTS`, with what `placement` needs.
std::vector<std::string> mpirun_command(const Placement& placement, const std::string& program,
                                        const std::vector<std::string>& arguments);

struct Outcome {
    int code = 0;  ///< exit code, 128 + n after signal n
    bool stop_asked = false;
};

/// Runs a command, its output to stderr and appended to `log`. SIGINT, SIGTERM and SIGUSR1 are passed on as
/// SIGUSR1, on which the ranks save their work and stop; a second one ends them. Throws `Error` when the
/// command cannot be started.
Outcome run_logged(const std::vector<std::string>& command, const Environment& environment,
                   const std::filesystem::path& log);
/// Runs a command and returns what it wrote to stdout. Throws `Error` with what it wrote to stderr when it
/// fails.
std::string output_of(const std::vector<std::string>& command, const Environment& environment = {});

/// The words as a shell would have to read them.
std::string shell_text(const std::vector<std::string>& words);

}  // namespace eckart::driver
