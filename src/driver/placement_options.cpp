#include "eckart/driver/placement_options.hpp"

#include "eckart/base/error.hpp"

#include <iostream>

namespace eckart::driver {

po::options_description placement_options() {
    po::options_description options("Launching");
    options.add_options()(
        "ranks", po::value<int>()->default_value(0, "SLURM's tasks, or cores")->value_name("N"),
        "MPI processes")("threads", po::value<int>()->default_value(0, "cores / ranks")->value_name("N"),
                         "threads of each rank")("oversubscribe", po::bool_switch(),
                                                 "ranks x threads may exceed the cores without a warning");
    return options;
}

Placement placement_of(const Command& command) {
    const bool asked = command.flag("oversubscribe");
    const Placement placement = place(command.get<int>("ranks"), command.get<int>("threads"), asked);
    if (placement.oversubscribe && !asked)
        std::cerr << fmt::format("eckart: {}: they will take turns\n", placement.describe());
    return placement;
}

}  // namespace eckart::driver
