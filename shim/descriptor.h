// An open file descriptor that closes itself.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace portshim::descriptor {

/// Owns an open file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  /// Takes over `number`. One of the standard three (they may be closed, then open(2) hands them out) is moved up,
  /// closed on exec: the app must find them as they were. Where that fails, number() is -1 and errno says why.
  explicit Descriptor(int number) : number_(number) {
    if (number > STDERR_FILENO || number < 0) return;
    number_ = fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int code = errno;
    ::close(number);
    errno = code;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }
  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] int release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

}  // namespace portshim::descriptor
