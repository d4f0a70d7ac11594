#include "shim/old_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace portshim::old_port {
namespace {

using finding::Finding;
using finding::Severity;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<Finding> check_of(std::vector<std::string> environment, options::Mode mode = options::Mode::rewrite) {
  options::Options options;
  options.mode = mode;
  const runtime::App app;
  const privilege::Identity identity;
  const policy::Rules rules;
  hosting::Input input{.environment = std::move(environment), .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  input.builders = {hosting::Builder::wab};
  input.majors = {10};
  const auto predictions = hosting::predict(input);
  const policy::Plan plan = policy::make_plan(input, rules);
  return check({.options = options,
                .app = app,
                .identity = identity,
                .rules = rules,
                .input = input,
                .predictions = predictions,
                .plan = plan});
}

TEST(OldPort, VariablesThatStillNameItAreOneInfo) {
  const auto findings = check_of({"ASPNETCORE_URLS=http://+:80", "PORT=80", "WEBSITES_PORT=80", "OTHER=80"});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].severity, Severity::info);
  EXPECT_EQ(findings[0].what, "PORT=80, WEBSITES_PORT=80 name a port that was moved (80 to 8080)");
  EXPECT_THAT(findings[0].next, HasSubstr("WEBSITES_PORT: set it to the new port"));
}

TEST(OldPort, BeforeTheMoveItIsSaidAsThat) {
  EXPECT_EQ(check_of({"ASPNETCORE_URLS=http://+:80", "PORT=80"}, options::Mode::explain)[0].what,
            "PORT=80 names a port that PORTSHIM=rewrite would move (80 to 8080)");
}

TEST(OldPort, RedirectionMayStayWhereClientsStillComeThere) {
  const auto findings = check_of({"ASPNETCORE_HTTPS_PORTS=443", "aspnetcore_https_port=443"});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_THAT(findings[0].next, HasSubstr("leave it where clients still come by that port"));
}

TEST(OldPort, OfServicesOnlyTheAppsOwnIsNamed) {
  const std::vector<std::string> environment{
      "ASPNETCORE_URLS=http://+:80", "WEB_SHOP_SERVICE_PORT=80", "KUBERNETES_SERVICE_PORT=443",
      "DB_SERVICE_PORT=80",          "_SERVICE_PORT=80",         "HOSTNAME=web-shop-6d5f-x2x"};
  const auto findings = check_of(environment);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_THAT(findings[0].what, HasSubstr("WEB_SHOP_SERVICE_PORT=80 names"));
  EXPECT_THAT(findings[0].what, Not(HasSubstr("DB_")));
  EXPECT_THAT(findings[0].next, HasSubstr("targetPort"));
}

TEST(OldPort, WithoutAMoveOrWithOtherPortsNothingIsSaid) {
  EXPECT_THAT(check_of({"ASPNETCORE_URLS=http://+:8080", "PORT=8080"}), IsEmpty());
  EXPECT_THAT(check_of({"ASPNETCORE_URLS=http://+:80", "PORT=8080", "HTTPS_PORT=443"}), IsEmpty());
}

}  // namespace
}  // namespace portshim::old_port
