#include "eckart/base/interrupt.hpp"

#include <csignal>
#include <initializer_list>

namespace eckart {

namespace {
volatile std::sig_atomic_t requested = 0;  // the one variable a signal handler may write
extern "C" void note_interrupt(int) {
    requested = 1;
}
}  // namespace

void watch_for_interrupt() {
    struct sigaction action {};
    action.sa_handler = note_interrupt;
    action.sa_flags = SA_RESTART;
    for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) sigaction(signal, &action, nullptr);
}

bool interrupt_requested() {
    return requested != 0;
}

}  // namespace eckart
