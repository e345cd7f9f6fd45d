#include "eckart/dense/process_grid.hpp"

#include "eckart/base/error.hpp"
#include "fortran.hpp"

#include <cmath>
#include <exception>

namespace eckart::dense {

ProcessGrid::ProcessGrid(const mpi::Communicator& comm, std::pair<int, int> shape)
    : comm_(comm), rows_(shape.first), columns_(shape.second) {
    if (rows_ == 0) {
        rows_ = static_cast<int>(std::sqrt(static_cast<double>(comm.size())));
        while (comm.size() % rows_ != 0) --rows_;
        columns_ = comm.size() / rows_;
    }
    require(rows_ * columns_ == comm.size(), "a grid of {} x {} does not hold {} ranks", rows_, columns_,
            comm.size());
    context_ = Csys2blacs_handle(comm.handle());
    Cblacs_gridinit(&context_, "Column", rows_, columns_);
}

ProcessGrid::~ProcessGrid() {
    if (std::uncaught_exceptions() == 0)
        Cblacs_gridexit(context_);  // collective: left out while an error unwinds
}

}  // namespace eckart::dense
