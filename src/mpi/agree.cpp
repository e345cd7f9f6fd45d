#include "eckart/mpi/agree.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/mpi/collectives.hpp"

namespace eckart::mpi {

namespace {
enum class Outcome : int { fine, usage, interrupted, error };

std::string stopped(const std::string& what_is_safe) {
    return fmt::format("stopped as asked; {}; run the same command to continue", what_is_safe);
}
}  // namespace

bool any(const Communicator& comm, bool mine) {
    return all_max(comm, std::int32_t{mine}) != 0;
}

void agree(const Communicator& comm, const std::function<void()>& local) {
    Outcome outcome = Outcome::fine;
    std::string text;
    try {
        local();
    } catch (const UsageError& error) {
        outcome = Outcome::usage, text = error.what();
    } catch (const Interrupted& error) {
        outcome = Outcome::interrupted, text = error.what();
    } catch (const std::exception& error) {
        outcome = Outcome::error, text = error.what();
    }
    const std::int32_t first = all_min(comm, outcome == Outcome::fine ? comm.size() : comm.rank());
    if (first == comm.size()) return;
    outcome = broadcast(comm, outcome, first);
    text = broadcast(comm, std::move(text), first);
    if (outcome == Outcome::usage) throw SharedError<UsageError>(text);
    if (outcome == Outcome::interrupted) throw SharedError<Interrupted>(text);
    throw SharedError<Error>(text);
}

void stop_if_interrupted(const Communicator& comm, const std::string& what_is_safe) {
    if (any(comm, interrupt_requested())) throw SharedError<Interrupted>(stopped(what_is_safe));
}

void stop_if_interrupted(const std::string& what_is_safe) {
    if (interrupt_requested()) throw Interrupted(stopped(what_is_safe));
}

}  // namespace eckart::mpi
