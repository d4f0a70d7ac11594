#include "shim/terminal.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace portshim::terminal {

using descriptor::Descriptor;

Terminal Terminal::open() {
  Terminal terminal;
  // O_NONBLOCK: nothing is read, and a serial line may wait for its carrier.
  terminal.descriptor_ = Descriptor(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (terminal.descriptor() < 0 && errno == ENXIO) return terminal;  // there is none
  for (int standard = STDIN_FILENO; terminal.descriptor() < 0 && standard <= STDERR_FILENO; ++standard) {
    // Only the controlling terminal answers (ioctl_tty(2), TIOCGPGRP).
    if (tcgetpgrp(standard) < 0) continue;
    terminal.descriptor_ = Descriptor(fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  }
  return terminal;
}

bool Terminal::has_foreground(pid_t group) const {
  return descriptor() >= 0 && tcgetpgrp(descriptor()) == group;
}

bool Terminal::is_ours() const {
  return has_foreground(getpgrp());
}

void Terminal::give_to(pid_t group) const {
  static_cast<void>(tcsetpgrp(descriptor(), group));
}

void Terminal::take_back(pid_t group) const {
  if (has_foreground(group)) give_to(getpgrp());
}

}  // namespace portshim::terminal
