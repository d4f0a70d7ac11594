#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>

namespace {

void throw_it(const auto& thrown) {
  throw thrown;
}

void throw_uncaught(const auto& thrown) noexcept {
  throw_it(thrown);
}

TEST(TerminateDeathTest, TheTextOfAnExceptionThatNobodyCatchesIsSaid) {
  EXPECT_EXIT(throw_uncaught(std::runtime_error("boom")), testing::KilledBySignal(SIGABRT),
              testing::HasSubstr("portshim: terminate called: boom\n"));
}

TEST(TerminateDeathTest, WhatIsNoExceptionOfTheLibraryEndsItTheSameWay) {
  EXPECT_EXIT(throw_uncaught(1), testing::KilledBySignal(SIGABRT),
              testing::HasSubstr("portshim: terminate called: an exception of another type\n"));
}

TEST(TerminateDeathTest, WithoutAnExceptionItIsSaidTooThatItEnded) {
  EXPECT_EXIT(std::terminate(), testing::KilledBySignal(SIGABRT), testing::HasSubstr("portshim: terminate called\n"));
}

}  // namespace
