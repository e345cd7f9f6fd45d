#pragma once

#include <limits>
#include <source_location>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace eckart {

/// Something outside the program went wrong: input, disk, memory, another rank. The message names the file,
/// the offset and the cause, and is printed once, alone. Programs exit with `exit_failure`.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;

    template <typename... Args>
    requires(sizeof...(Args) > 0) explicit Error(fmt::format_string<Args...> text, Args&&... args)
        : std::runtime_error(fmt::format(text, std::forward<Args>(args)...)) {}
};

/// The command line or the configuration asks for something that does not exist. Exit code `exit_usage`.
class UsageError : public Error {
public:
    using Error::Error;
};

/// A stop was asked for (signal, time limit) and the work so far is safe on disk. Exit code
/// `exit_interrupted`.
class Interrupted : public Error {
public:
    using Error::Error;
};

inline constexpr int exit_success = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_verification_failed = 3;
/// EX_TEMPFAIL: the same command continues from the checkpoint. SLURM's `RequeueExit` is set to it.
inline constexpr int exit_interrupted = 75;

/// Throws `Error` with the formatted text unless `holds`.
template <typename... Args>
void require(bool holds, fmt::format_string<Args...> text, Args&&... args) {
    if (!holds) [[unlikely]]
        throw Error(fmt::format(text, std::forward<Args>(args)...));
}

/// `value` as a `To`. Throws `Error` naming the place when it does not fit.
template <typename To, typename From>
requires(std::is_integral_v<To>&& std::is_integral_v<From>) constexpr To
    narrow(From value, std::source_location place = std::source_location::current()) {
    if (!std::in_range<To>(value)) [[unlikely]]
        throw Error(fmt::format("the number {} does not fit in {} bits ({}:{})", value,
                                std::numeric_limits<To>::digits, place.file_name(), place.line()));
    return static_cast<To>(value);
}

}  // namespace eckart
