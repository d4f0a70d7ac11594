// The controlling terminal, and which process group is in its foreground (job control: setpgid(2), tcsetpgrp(3)).
#pragma once

#include <sys/types.h>

#include "shim/descriptor.h"

namespace portshim::terminal {

/// The controlling terminal of this process, or none.
class Terminal {
 public:
  Terminal() = default;

  /// Opens /dev/tty, which is the controlling terminal (tty(4)); where that file is not there, one of the standard
  /// three that is it.
  [[nodiscard]] static Terminal open();

  /// -1 where there is none.
  [[nodiscard]] int descriptor() const { return descriptor_.number(); }
  /// Is that process group in the foreground?
  [[nodiscard]] bool has_foreground(pid_t group) const;
  /// Is this process's own?
  [[nodiscard]] bool is_ours() const;
  /// Puts that process group, of this session, into the foreground. SIGTTOU must be blocked: it would stop a caller
  /// that is not in the foreground itself. Failures change nothing.
  void give_to(pid_t group) const;
  /// Puts this process's own group into the foreground where `group` is there.
  void take_back(pid_t group) const;

 private:
  descriptor::Descriptor descriptor_;
};

}  // namespace portshim::terminal
