// eckart: what a person types. It plans, launches the MPI programs, watches them, and reports.

#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"

#include <exception>
#include <iostream>

using namespace eckart;

namespace {

int failed(const std::exception& error, int code) {
    std::cerr << "eckart: " << error.what() << std::endl;
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return driver::dispatch(argc, argv);
    } catch (const UsageError& error) {
        return failed(error, exit_usage);
    } catch (const Interrupted& error) {
        return failed(error, exit_interrupted);
    } catch (const std::exception& error) {
        return failed(error, exit_failure);
    }
}
