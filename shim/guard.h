// Watches the app's own bind calls (--guard), says which the kernel denies, and lets them have another port: by seccomp
// user notification (seccomp_unotify(2)).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>

#include "shim/descriptor.h"
#include "shim/finding.h"
#include "shim/options.h"
#include "shim/redirect.h"
#include "shim/supervise.h"
#include "shim/system.h"

namespace portshim::guard {

/// What the guard goes by, or why the program `path` cannot or need not be guarded: set-uid and file capabilities,
/// which no_new_privs would take away; low ports that work here.
[[nodiscard]] std::expected<redirect::Rules, finding::Finding> examine(const system::System& system,
                                                                       const std::string& path,
                                                                       const options::Options& options);

/// The guard could not be set up.
[[nodiscard]] finding::Finding not_set_up(const system::Error& error);

/// Between parent and child: prepare() before the fork, enter() in the child, attach() in the parent, which then
/// supervises with this as its Watch.
///
/// While it watches, whatever fails in it lets the app's call go on as it was. Decisions and answers allocate nothing.
/// What is said is formatted as everywhere, which does: only after the answer, once for an address, in a process of one
/// thread, so that no lock can be held; where there is no memory, it is not said.
class Guard final : public supervise::Watch {
 public:
  using Say = std::function<void(const finding::Finding&)>;

  Guard(redirect::Rules rules, Say say) : redirector_(std::move(rules)), say_(std::move(say)) {}

  [[nodiscard]] system::Result<void> prepare();

  /// In the child, before anything else: sets no_new_privs, installs the filter, and hands its listener to the parent.
  /// Returns true when the parent answers; then every bind call of this process and its children waits for it, and
  /// SIGTERM comes when the parent ends. After false the child has to end.
  [[nodiscard]] bool enter();

  /// In the parent: takes the listener, and answers the child's first call. An error is that of the child (as of
  /// seccomp(2)) or of this.
  [[nodiscard]] system::Result<void> attach(const supervise::Child& child);

  [[nodiscard]] int descriptor() const override { return listener_.number(); }
  void ready() override;

  /// The last bind call that was denied, as "bind([::]:80)".
  [[nodiscard]] std::optional<std::string> last_denied() const;

 private:
  class Call;

  [[nodiscard]] bool executed();
  [[nodiscard]] bool is_waiting();
  void handle();
  void tell(const redirect::Address& address, const redirect::Decision& decision, bool written);
  void tell_unreadable(pid_t thread);
  [[nodiscard]] bool is_first(const redirect::Address& address);
  void tell_map();
  void tell_limit(bool& said, const redirect::Address& address, const char* did);

  static constexpr std::size_t kMostSaid = 64;

  redirect::Redirector redirector_;
  Say say_;
  pid_t parent_ = 0;
  descriptor::Descriptor parents_end_, childs_end_;  ///< of the connection that the listener comes through
  descriptor::Descriptor listener_;
  int not_executed_ = -1;  ///< Child::not_executed; -1 when execve(2) was done
  std::array<redirect::Address, kMostSaid> said_{};
  std::size_t said_count_ = 0;
  bool said_unreadable_ = false;
  bool said_last_ = false, said_full_ = false;  ///< PS535
  std::optional<redirect::Address> last_denied_;
};

}  // namespace portshim::guard
