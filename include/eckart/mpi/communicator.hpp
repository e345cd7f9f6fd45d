#pragma once

#include <functional>
#include <utility>

#include <mpi.h>

namespace eckart::mpi {

/// An MPI communicator: the world (borrowed) or one made by `split` (owned, freed unless an exception
/// unwinds).
class Communicator {
public:
    /// The processes of this job. Requires MPI to be initialised (see `run_job`).
    static Communicator world();

    ~Communicator();
    Communicator(Communicator&& other) noexcept
        : handle_(std::exchange(other.handle_, MPI_COMM_NULL)), owned_(std::exchange(other.owned_, false)) {}
    Communicator& operator=(Communicator&&) = delete;

    int rank() const;
    int size() const;
    bool is_root() const { return rank() == 0; }
    MPI_Comm handle() const { return handle_; }
    /// The communicator as Fortran libraries know it.
    int fortran_handle() const { return MPI_Comm_c2f(handle_); }

    /// Ranks of equal `color` in a new communicator, ordered by `key`. Collective.
    Communicator split(int color, int key) const;
    /// The ranks that share memory with this one. Collective.
    Communicator split_by_node() const;
    /// The same ranks with a separate message space. Collective.
    Communicator duplicate() const;
    void barrier() const;
    /// A barrier that leaves the cores to the ranks still at work: who waits sleeps between looks.
    void quiet_barrier() const;

private:
    Communicator(MPI_Comm handle, bool owned) : handle_(handle), owned_(owned) {}
    MPI_Comm handle_;
    bool owned_;
};

/// Throws `Error` with MPI's own text unless `code` is MPI_SUCCESS.
void check(int code, const char* call);

/// The main function of every MPI program: initialises MPI, runs `body`, and is the one place that catches.
/// An error is printed once, as one line on stderr that names its rank, and the whole job ends with its exit
/// code; no other rank is left waiting. Returns the exit code of `body` when nothing is thrown.
int run_job(int argc, char** argv, const std::function<int(const Communicator&)>& body);

}  // namespace eckart::mpi
