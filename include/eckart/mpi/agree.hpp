#pragma once

#include "eckart/base/error.hpp"
#include "eckart/mpi/communicator.hpp"

#include <exception>
#include <functional>
#include <string>

namespace eckart::mpi {

/// An error that every rank throws together: it is printed by the first rank alone. `Kind` decides the exit
/// code.
struct SharedByAllRanks {};
template <typename Kind>
class SharedError : public Kind, public SharedByAllRanks {
public:
    using Kind::Kind;
    explicit SharedError(const std::string& text) : Kind(text) {}
};

/// True everywhere when `mine` is true anywhere. Collective.
bool any(const Communicator& comm, bool mine);

/// Runs `local` (which must not communicate) on every rank; when it throws on some, all ranks throw the error
/// of the least of those, so that no rank goes on to wait for one that has stopped. Collective.
void agree(const Communicator& comm, const std::function<void()>& local);

/// Throws `Interrupted` on every rank when a stop was requested on any. Collective: call it at checkpoints.
void stop_if_interrupted(const Communicator& comm, const std::string& what_is_safe);
/// The same on one rank, within `agree`.
void stop_if_interrupted(const std::string& what_is_safe);

}  // namespace eckart::mpi
