#include "shim/method_name.h"

#include <gtest/gtest.h>

namespace portshim::method_name {
namespace {

TEST(MethodName, AMethodThatTheCompilerMadeIsNamedByTheUsers) {
  EXPECT_EQ(user_method("Program", "<Main>$"), "Program.<Main>$");
  EXPECT_EQ(user_method("App.Program", "Main"), "App.Program.Main");
  EXPECT_EQ(user_method("Startup", ".ctor"), "Startup..ctor");
  EXPECT_EQ(user_method("Outer+Inner", "Run"), "Outer+Inner.Run");
  // lambda expressions, alone and with captured variables
  EXPECT_EQ(user_method("Program+<>c", "<<Main>$>b__0_0"), "Program.<Main>$");
  EXPECT_EQ(user_method("Outer+Inner+<>c__DisplayClass3_0", "<Run>b__0"), "Outer+Inner.Run");
  // local functions
  EXPECT_EQ(user_method("Program", "<<Main>$>g__Serve|0_0"), "Program.<Main>$");
  EXPECT_EQ(user_method("Program+<>c", "<<Main>$>g__Serve|0_0"), "Program.<Main>$");
  // async methods, async lambda expressions, iterators
  EXPECT_EQ(user_method("Program+<<Main>$>d__0", "MoveNext"), "Program.<Main>$");
  EXPECT_EQ(user_method("Program+<Main>d__0", "MoveNext"), "Program.Main");
  EXPECT_EQ(user_method("Program+<>c+<<<Main>$>b__0_0>d", "MoveNext"), "Program.<Main>$");
  EXPECT_EQ(user_method("Program+<>c__DisplayClass0_0+<<Main>b__1>d", "MoveNext"), "Program.Main");
  // a static constructor's lambda expression
  EXPECT_EQ(user_method("Program+<>c", "<.cctor>b__1_0"), "Program..cctor");
}

TEST(MethodName, NamesThatOnlyLookMadeStay) {
  EXPECT_EQ(user_method("<PrivateImplementationDetails>", "Throw"), "<PrivateImplementationDetails>.Throw");
  EXPECT_EQ(user_method("Program", "<"), "Program.<");
  EXPECT_EQ(user_method("Program", "<>"), "Program.<>");
  EXPECT_EQ(user_method("Program", "<Main>"), "Program.<Main>");
  EXPECT_EQ(user_method("Program", "<<<<"), "Program.<<<<");
  EXPECT_EQ(user_method("", ""), ".");
}

}  // namespace
}  // namespace portshim::method_name
