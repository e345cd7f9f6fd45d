#pragma once

namespace eckart {

/// From here on SIGTERM and SIGUSR1 (time limit, preemption) and SIGINT only set a flag. Long loops ask for
/// it at their checkpoints, agree on it over the ranks, save, and throw `Interrupted`.
void watch_for_interrupt();
bool interrupt_requested();

}  // namespace eckart
