// --install: where the copy goes, from where it is read, and what is refused.
#include "shim/install.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/fake_system.h"

namespace {

using portshim::finding::Finding;
using portshim::finding::Id;
using portshim::finding::Severity;
using portshim::install::install;
using portshim::support::Call;
using portshim::support::FakeSystem;
using portshim::system::FileType;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kSelf = "/proc/self/exe";

/// This test program is linked with the note by which portshim knows itself.
const std::string& portshim_bytes() {
  static const std::string bytes = [] {
    std::ifstream file(kSelf, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  return bytes;
}

class Install : public testing::Test {
 protected:
  Install() { system_.file(kSelf, portshim_bytes(), 0755).directory("/tools"); }

  /// What is at the path, with its mode; empty when it is no complete copy.
  [[nodiscard]] std::string copied_to(const std::string& path) const {
    const auto status = system_.status(path, true);
    const auto content = system_.read_part(path, 0, portshim_bytes().size() + 1);
    const bool complete = status && content && *content == portshim_bytes() && status->type == FileType::regular;
    return complete ? std::to_string(status->mode) : "";
  }
  [[nodiscard]] std::string cause(const std::string& path) {
    const Finding finding = install(system_, path);
    EXPECT_EQ(finding.id, Id::not_installed);
    EXPECT_EQ(finding.severity, Severity::error);
    EXPECT_EQ(finding.did, "nothing was changed (exit code 78)");
    return finding.why;
  }

  const std::string mode_ = std::to_string(0755);
  FakeSystem system_;
};

TEST_F(Install, AFileGetsTheNameThatIsGiven) {
  const Finding finding = install(system_, "/tools/shim");
  EXPECT_EQ(finding.id, Id::installed);
  EXPECT_EQ(finding.severity, Severity::info);
  EXPECT_EQ(finding.what, "installed /tools/shim (portshim " PORTSHIM_VERSION ")");
  EXPECT_EQ(copied_to("/tools/shim"), mode_);
}

TEST_F(Install, ANameThatMakesItStandInForAnotherProgramIsExplained) {
  EXPECT_THAT(install(system_, "/tools/dotnet").why, testing::HasSubstr("starts the real 'dotnet'"));
  EXPECT_EQ(install(system_, "/tools/portshim-0.1").why, "");
}

TEST_F(Install, WhereNothingCanBeExecutedIsAWarning) {
  system_.mount("/tools", {.noexec = true});
  const Finding finding = install(system_, "/tools/portshim");
  EXPECT_EQ(finding.id, Id::installed);
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_THAT(finding.why, testing::HasSubstr("noexec"));
  EXPECT_EQ(copied_to("/tools/portshim"), mode_);
}

TEST_F(Install, InADirectoryItIsCalledPortshim) {
  EXPECT_EQ(install(system_, "/tools").what, "installed /tools/portshim (portshim " PORTSHIM_VERSION ")");
  EXPECT_EQ(install(system_, "/tools/").what, "installed /tools/portshim (portshim " PORTSHIM_VERSION ")");
  EXPECT_EQ(copied_to("/tools/portshim"), mode_);
}

TEST_F(Install, ASlashAtTheEndMeansADirectoryThatMayBeMissing) {
  system_.fail(Call::replace_file, "/missing/portshim", ENOENT);
  EXPECT_EQ(cause("/missing/"), "write /missing/portshim: No such file or directory");
}

TEST_F(Install, ALinkToADirectoryIsThatDirectory) {
  system_.link("/t", "/tools");
  EXPECT_EQ(install(system_, "/t").what, "installed /t/portshim (portshim " PORTSHIM_VERSION ")");
}

TEST_F(Install, WhatIsNoFileIsNotReplacedAndNothingIsWritten) {
  system_.special("/dev/null").special("/pipe", 0666, FileType::fifo).special("/socket", 0666, FileType::socket);
  system_.link("/stdout", "/dev/null").directory("/tools/portshim");
  EXPECT_EQ(cause("/dev/null"), "/dev/null is a device");
  EXPECT_EQ(cause("/stdout"), "/stdout is a device");
  EXPECT_EQ(cause("/pipe"), "/pipe is a FIFO");
  EXPECT_EQ(cause("/socket"), "/socket is a socket");
  EXPECT_EQ(cause("/tools"), "/tools/portshim is a directory");
  EXPECT_THAT(system_.paths(Call::replace_file), IsEmpty());
}

TEST_F(Install, WhatTheKernelRefusesIsTheCauseWithAdvice) {
  system_.fail(Call::replace_file, "/tools/portshim", ENOSPC);
  EXPECT_EQ(cause("/tools"), "write /tools/portshim: No space left on device");
  EXPECT_THAT(install(system_, "/tools").next, HasSubstr("emptyDir.sizeLimit"));
  system_.fail(Call::replace_file, "/tools/portshim", EROFS);
  EXPECT_THAT(install(system_, "/tools").next, HasSubstr("without readOnly"));
  system_.fail(Call::replace_file, "/tools/portshim", EACCES);
  EXPECT_THAT(install(system_, "/tools").next, HasSubstr("fsGroup"));
}

TEST_F(Install, WithoutProcTheFileThatWasStartedIsRead) {
  system_.fail(Call::read, kSelf, ENOENT).file("/opt/shim", portshim_bytes(), 0755);
  system_.own = "/opt/shim";
  EXPECT_EQ(install(system_, "/tools").id, Id::installed);
  EXPECT_EQ(copied_to("/tools/portshim"), mode_);
}

TEST_F(Install, NothingButPortshimIsCopied) {
  system_.file(kSelf, "\177ELF of a loader", 0755).file("/opt/shim", "#!/bin/sh", 0755);
  system_.own = "/opt/shim";
  EXPECT_THAT(cause("/tools"), HasSubstr("cannot read its own file: read /proc/self/exe: Exec format error"));
  EXPECT_THAT(system_.paths(Call::replace_file), IsEmpty());
}

TEST_F(Install, ATargetFromOutsideIsMadeFitForALog) {
  EXPECT_EQ(install(system_, "/tools/a\nportshim: error").what,
            "installed /tools/a\\nportshim: error (portshim " PORTSHIM_VERSION ")");
}

}  // namespace
