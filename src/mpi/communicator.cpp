#include "eckart/mpi/communicator.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/provenance.hpp"
#include "eckart/mpi/agree.hpp"

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <thread>

#include <unistd.h>

namespace eckart::mpi {

namespace {

/// Prints the one line and ends the job on all ranks. MPI_Abort takes effect even while others wait.
[[noreturn]] void end_job(const Communicator& world, int code, const std::string& text) {
    const std::string where =
        world.size() > 1 ? fmt::format(" (rank {} on {})", world.rank(), host_name()) : "";
    std::cerr << fmt::format("eckart: {}{}\n", text, where) << std::flush;
    MPI_Abort(world.handle(), code);
    std::_Exit(code);
}

/// An error that all ranks throw together is printed by the first alone: the others wait for it to end the
/// job.
[[noreturn]] void end_job(const Communicator& world, int code, const std::exception& error) {
    constexpr unsigned patience_seconds = 10;
    // A signal with which the launcher ends the job must not cut the wait short.
    if (dynamic_cast<const SharedByAllRanks*>(&error) != nullptr && !world.is_root())
        for (unsigned left = patience_seconds; left > 0;) left = sleep(left);
    end_job(world, code, std::string(error.what()));
}

/// A launcher without matching PMI starts n jobs of one rank, each of which would do the whole work.
void require_whole_job(const Communicator& world) {
    const char* tasks = std::getenv("SLURM_NTASKS");
    const char* step = std::getenv("SLURM_STEP_ID");
    if (tasks == nullptr || step == nullptr || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) return;
    const int expected = std::atoi(tasks);
    require(world.size() > 1 || expected <= 1,
            "srun started {} processes that do not know of each other (each sees 1 rank): use 'srun "
            "--mpi=pmix' or mpirun",
            expected);
}

}  // namespace

void check(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error("{} failed: {}", call, std::string(text, static_cast<std::size_t>(length)));
}

Communicator Communicator::world() {
    return {MPI_COMM_WORLD, false};
}

Communicator::~Communicator() {
    // Freeing is collective: while an exception unwinds, other ranks may be elsewhere, so it is left undone.
    if (owned_ && handle_ != MPI_COMM_NULL && std::uncaught_exceptions() == 0) MPI_Comm_free(&handle_);
}

int Communicator::rank() const {
    int rank = 0;
    check(MPI_Comm_rank(handle_, &rank), "MPI_Comm_rank");
    return rank;
}

int Communicator::size() const {
    int size = 0;
    check(MPI_Comm_size(handle_, &size), "MPI_Comm_size");
    return size;
}

Communicator Communicator::split(int color, int key) const {
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(handle_, color, key, &part), "MPI_Comm_split");
    return {part, true};
}

Communicator Communicator::split_by_node() const {
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split_type(handle_, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, &part),
          "MPI_Comm_split_type");
    return {part, true};
}

Communicator Communicator::duplicate() const {
    MPI_Comm copy = MPI_COMM_NULL;
    check(MPI_Comm_dup(handle_, &copy), "MPI_Comm_dup");
    return {copy, true};
}

void Communicator::barrier() const {
    check(MPI_Barrier(handle_), "MPI_Barrier");
}

void Communicator::quiet_barrier() const {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(handle_, &request), "MPI_Ibarrier");
    for (int done = 0; done == 0;) {
        check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
        if (done == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

int run_job(int argc, char** argv, const std::function<int(const Communicator&)>& body) {
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    const Communicator world = Communicator::world();
    int code = exit_success;
    try {
        require_whole_job(world);
        code = body(world);
    } catch (const UsageError& error) {
        end_job(world, exit_usage, error);
    } catch (const SharedError<Interrupted>& error) {  // all ranks stop here, so none needs to be ended
        if (world.is_root()) std::cerr << fmt::format("eckart: {}\n", error.what()) << std::flush;
        code = exit_interrupted;
    } catch (const Interrupted& error) {
        end_job(world, exit_interrupted, error);
    } catch (const std::bad_alloc&) {
        end_job(world, exit_failure, "out of memory: use more ranks or a lower --memory");
    } catch (const std::exception& error) {
        end_job(world, exit_failure, error);
    }
    MPI_Finalize();
    return code;
}

}  // namespace eckart::mpi
