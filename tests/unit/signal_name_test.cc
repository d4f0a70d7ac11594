#include "shim/signal_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <string>

namespace portshim::signal_name {
namespace {

TEST(SignalName, IsReadWithAndWithoutItsPrefixInAnyCase) {
  for (const char* text : {"TERM", "SIGTERM", "term", "sigterm", "SigTerm", "15"})
    EXPECT_EQ(number_of(text), 15) << text;
  EXPECT_EQ(number_of("IOT"), SIGABRT);
  EXPECT_EQ(number_of("CLD"), SIGCHLD);
  EXPECT_EQ(number_of("POLL"), SIGIO);
}

TEST(SignalName, OfARealTimeSignalIsADistanceFromEitherEnd) {
  EXPECT_EQ(number_of("RTMIN"), 34);
  EXPECT_EQ(number_of("RTMIN+0"), 34);
  EXPECT_EQ(number_of("sigrtmin+3"), 37);
  EXPECT_EQ(number_of("RTMIN+30"), 64);
  EXPECT_EQ(number_of("RTMAX"), 64);
  EXPECT_EQ(number_of("RTMAX-1"), 63);
  EXPECT_EQ(number_of("RTMAX-30"), 34);
  for (const char* text : {"RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+x", "RTMIN+-1", "RTMIN+ 1",
                           "RTMIN+99999999999", "RT"})
    EXPECT_EQ(number_of(text), std::nullopt) << text;
}

TEST(SignalName, NumbersAre1To64) {
  for (int number = 1; number <= kHighest; ++number) EXPECT_EQ(number_of(std::to_string(number)), number);
  for (const char* text : {"", "0", "65", "-1", "+1", "1x", "0x1", " 1", "1 ", "99999999999", "SIG", "SIG15", "TREM"})
    EXPECT_EQ(number_of(text), std::nullopt) << text;
}

TEST(SignalName, IsShownAsItIsRead) {
  for (int number = 1; number <= kHighest; ++number) {
    if (number == 32 || number == 33) continue;
    EXPECT_EQ(number_of(name_of(number)), number) << name_of(number);
  }
  EXPECT_EQ(name_of(15), "SIGTERM");
  EXPECT_EQ(name_of(6), "SIGABRT");
  EXPECT_EQ(name_of(33), "signal 33");
  EXPECT_EQ(name_of(36), "SIGRTMIN+2");
}

TEST(SignalName, EachOfAllIsKnown) {
  for (const std::string_view name : all()) EXPECT_TRUE(number_of(name)) << name;
}

}  // namespace
}  // namespace portshim::signal_name
