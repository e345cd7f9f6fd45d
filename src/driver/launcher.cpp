#include "eckart/driver/launcher.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/io/artefact.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace eckart::driver {

namespace fs = std::filesystem;

namespace {

class Descriptor {
public:
    explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
    ~Descriptor() { close(); }
    Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;

    int get() const { return descriptor_; }
    void close() {
        if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    }

private:
    int descriptor_;
};

struct Pipe {
    Descriptor read_end, write_end;
    static Pipe make() {
        std::array<int, 2> ends{};
        require(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
        return {Descriptor(ends[0]), Descriptor(ends[1])};
    }
};

/// While it lives, the signals that ask for a stop arrive as something to read instead of ending the process.
class StopSignals {
public:
    StopSignals() : descriptor_(watch(before_)) {}
    ~StopSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    StopSignals(StopSignals&&) = delete;

    int descriptor() const { return descriptor_.get(); }
    void take() {
        signalfd_siginfo info{};
        [[maybe_unused]] const auto bytes = ::read(descriptor_.get(), &info, sizeof info);
    }
    /// For a child, which is to have the signals as they were.
    void restore_in_child() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

private:
    static int watch(sigset_t& before) {
        sigset_t stop;
        sigemptyset(&stop);
        for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&stop, signal);
        ::sigprocmask(SIG_BLOCK, &stop, &before);
        return ::signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    sigset_t before_{};
    Descriptor descriptor_;
};

/// After the fork: only calls that are safe there.
[[noreturn]] void become(const std::vector<char*>& words, const std::vector<char*>& environment, int out,
                         int error) {
    ::dup2(out, STDOUT_FILENO);
    ::dup2(error, STDERR_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::execvpe(words[0], words.data(), environment.data());
    constexpr char text[] = "eckart: the program cannot be started: ";
    const char* cause = std::strerror(errno);
    for (const char* part : {text, static_cast<const char*>(words[0]), ": ", cause, "\n"})
        if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
    ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    for (std::string& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
}

/// This process's environment with `changes`.
std::vector<std::string> merged_environment(const Environment& changes) {
    std::vector<std::string> result;
    for (char** entry = ::environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        if (!changes.contains(text.substr(0, text.find('=')))) result.push_back(text);
    }
    for (const auto& [name, value] : changes) result.push_back(name + "=" + value);
    return result;
}

int exit_code_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        require(errno == EINTR, "cannot wait for a program: {}", std::strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void write_all(int descriptor, const char* data, std::size_t size) {
    while (size > 0) {
        const auto written = ::write(descriptor, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return;  // a full disk under the log must not end the job
        data += written;
        size -= static_cast<std::size_t>(written);
    }
}

pid_t start(std::vector<std::string> command, const Environment& changes, const Descriptor& out,
            const Descriptor& error, const StopSignals* signals) {
    std::vector<std::string> environment = merged_environment(changes);
    const std::vector<char*> words = pointers(command), variables = pointers(environment);
    const pid_t child = ::fork();
    require(child >= 0, "cannot start {}: {}", command[0], std::strerror(errno));
    if (child == 0) {
        ::setpgid(0, 0);                     // Ctrl-C reaches this process alone, which passes it on
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // and no job outlives it
        if (signals != nullptr) signals->restore_in_child();
        become(words, variables, out.get(), error.get());
    }
    return child;
}

/// Copies what the child writes until it closes its end; passes on what asks for a stop, and returns whether
/// something did.
bool follow(pid_t child, const Descriptor& output, const Descriptor& log, StopSignals& signals) {
    std::array<pollfd, 2> sources{{{output.get(), POLLIN, 0}, {signals.descriptor(), POLLIN, 0}}};
    int stops = 0;
    for (std::array<char, 65536> buffer{};;) {
        if (::poll(sources.data(), sources.size(), -1) < 0) continue;
        if ((sources[1].revents & POLLIN) != 0) {
            signals.take();
            ::kill(child, ++stops == 1 ? SIGUSR1 : SIGTERM);
        }
        if (sources[0].revents == 0) continue;
        const auto bytes = ::read(output.get(), buffer.data(), buffer.size());
        if (bytes <= 0) return stops > 0;
        write_all(STDERR_FILENO, buffer.data(), static_cast<std::size_t>(bytes));
        write_all(log.get(), buffer.data(), static_cast<std::size_t>(bytes));
    }
}

std::string read_all(const Descriptor& source) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const auto bytes = ::read(source.get(), buffer.data(), buffer.size());
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes <= 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
}

int number_in(const char* variable) {
    const char* text = std::getenv(variable);
    return text == nullptr ? 0 : std::atoi(text);
}

void allow(const std::vector<int>& cores) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : cores) CPU_SET(core, &set);
    ::sched_setaffinity(0, sizeof set, &set);  // without it the cores are shared, as the log will say
}

std::string counted(int number, const char* noun) {
    return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

}  // namespace

std::string Placement::describe() const {
    return fmt::format("{} x {} on {}", counted(ranks, "rank"), counted(threads, "thread"),
                       counted(cores, "core"));
}

Placement place(int ranks, int threads, bool oversubscribe) {
    if (ranks < 0 || threads < 0) throw UsageError("--ranks and --threads are at least 1");
    Placement placement;
    placement.cores = available_cores();
    if (const int tasks = number_in("SLURM_NTASKS"); tasks > 0) {  // an allocation, perhaps of many nodes
        placement.nodes = std::max(1, number_in("SLURM_JOB_NUM_NODES"));
        placement.cores = number_in("SLURM_CPUS_ON_NODE") * placement.nodes;
        if (ranks == 0) ranks = tasks;
        if (threads == 0) threads = std::max(1, number_in("SLURM_CPUS_PER_TASK"));
    }
    placement.ranks = ranks > 0 ? ranks : std::max(1, placement.cores / std::max(threads, 1));
    placement.threads = threads > 0 ? threads : std::max(1, placement.cores / placement.ranks);
    placement.oversubscribe = oversubscribe || placement.ranks * placement.threads > placement.cores;
    return placement;
}

CoreLimit::CoreLimit(int count) : before_(available_core_numbers()) {
    allow({before_.begin(), before_.begin() + std::min<std::ptrdiff_t>(count, std::ssize(before_))});
}

CoreLimit::~CoreLimit() {
    allow(before_);
}

Environment launch_environment(const Placement& placement) {
    const std::string threads = std::to_string(placement.threads);
    Environment environment{{"OMP_NUM_THREADS", threads},
                            {"OPENBLAS_NUM_THREADS", threads},
                            {"OMPI_MCA_hwloc_base_binding_policy", "none"}};
    if (::geteuid() == 0) {
        environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
        environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    }
    if (placement.oversubscribe) environment["OMPI_MCA_mpi_yield_when_idle"] = "1";
    return environment;
}

fs::path program_path(const std::string& name) {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    require(!error, "cannot tell where this program is: {}", error.message());
    const fs::path path = self.parent_path() / name;
    require(::access(path.c_str(), X_OK) == 0, "there is no program {} (is the build complete?)",
            path.string());
    return path;
}

std::vector<std::string> mpirun_command(const Placement& placement, const std::string& program,
                                        const std::vector<std::string>& arguments) {
    std::vector<std::string> command{"mpirun", "-n", std::to_string(placement.ranks)};
    if (placement.oversubscribe) command.emplace_back("--oversubscribe");
    command.push_back(program);
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

Outcome run_logged(const std::vector<std::string>& command, const Environment& environment,
                   const fs::path& log) {
    const Descriptor file(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    require(file.get() >= 0, "cannot write to {}{}", log.string(), io::cause_of(errno, log));
    Pipe output = Pipe::make();
    StopSignals signals;
    const pid_t child = start(command, environment, output.write_end, output.write_end, &signals);
    output.write_end.close();
    const bool stop_asked = follow(child, output.read_end, file, signals);
    return {.code = exit_code_of(child), .stop_asked = stop_asked};
}

std::string output_of(const std::vector<std::string>& command, const Environment& environment) {
    Pipe output = Pipe::make(), error = Pipe::make();
    const pid_t child = start(command, environment, output.write_end, error.write_end, nullptr);
    output.write_end.close();
    error.write_end.close();
    const std::string text = read_all(output.read_end), complaint = read_all(error.read_end);
    const int code = exit_code_of(child);
    require(code == 0, "{} failed ({}): {}", command[0], code,
            complaint.substr(0, complaint.find_last_not_of("\n ") + 1));
    return text;
}

std::string shell_text(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        constexpr const char* safe =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
        text += text.empty() ? "" : " ";
        if (!word.empty() && word.find_first_not_of(safe) == std::string::npos) {
            text += word;
            continue;
        }
        text += "'";
        for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        text += "'";
    }
    return text;
}

}  // namespace eckart::driver
