// eckart-dump: the counts of a matrix made with --keep-contexts as plain text.

#include "eckart/base/error.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/matrix/context_file.hpp"
#include "eckart/mpi/communicator.hpp"

#include <iostream>

using namespace eckart;
namespace po = boost::program_options;

namespace {

int run(const mpi::Communicator& world, int argc, char** argv) {
    po::options_description options("Options");
    options.add_options()("matrix", po::value<std::string>()->required()->value_name("DIR"),
                          "matrix directory");
    po::positional_options_description positional;
    positional.add("matrix", 1);
    const auto command = driver::parse_command(argc, argv, "eckart-dump MATRIX_DIR",
                                               "Writes a line an n-gram: its token ids, a tab, its count.",
                                               options, positional);
    if (!world.is_root()) return exit_success;
    if (command.message.empty())
        matrix::dump_counts(command.get<std::string>("matrix"), std::cout);
    else
        std::cout << command.message;
    return exit_success;
}

}  // namespace

int main(int argc, char** argv) {
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) { return run(world, argc, argv); });
}
