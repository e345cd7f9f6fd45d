// The main of tests that run under mpirun: a failure on any rank fails the program, and only rank 0 speaks
// unless another rank has something to report.

#include <gtest/gtest.h>
#include <mpi.h>

namespace {

/// Prints what fails on any rank (those other than 0 have lost GoogleTest's own printer), and ends the
/// program on a failure that leaves the test: the other ranks would wait for this one until the time limit.
class FailurePrinter : public testing::EmptyTestEventListener {
    void OnTestPartResult(const testing::TestPartResult& result) override {
        if (!result.failed()) return;
        int rank = 0;
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        const bool thrown = result.file_name() == nullptr;
        std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank, thrown ? "exception" : result.file_name(),
                     result.line_number(), result.message());
        if (thrown || result.fatally_failed()) MPI_Abort(MPI_COMM_WORLD, 1);
    }
};

}  // namespace

int main(int argc, char** argv) {
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    testing::InitGoogleTest(&argc, argv);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    if (rank != 0) delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);
    int failed = RUN_ALL_TESTS();
    MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    MPI_Finalize();
    return failed;
}
