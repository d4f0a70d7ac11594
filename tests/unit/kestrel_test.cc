#include "shim/kestrel.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace portshim::kestrel {
namespace {

using Words = std::vector<std::string>;
using Settings = std::vector<std::pair<std::string, std::string>>;

/// A host's setup with one provider.
struct Host {
  config::Provider provider;
  Setup setup;

  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() = default;

  explicit Host(const Settings& settings) {
    for (const auto& [key, value] : settings) provider.set({.key = key, .value = value, .origin = {}});
    setup.configuration.add(provider);
    setup.urls = setup.configuration.find("urls");
    setup.http_ports = setup.configuration.find("http_ports");
  }
  [[nodiscard]] Words bound(bool strict = true) const {
    Words out;
    for (const Endpoint& endpoint : start(setup, strict).endpoints) out.push_back(address::to_string(endpoint.target));
    return out;
  }
  [[nodiscard]] std::string failure(bool strict = true) const {
    const Run run = start(setup, strict);
    return run.failure ? run.failure->exception.message : "";
  }
};

TEST(Kestrel, PiecesOfPortsAreTrimmedAndThoseOfUrlsAreNot) {
  const auto texts = [](Form form, std::string_view text) { return addresses(form, text); };
  EXPECT_EQ(texts(Form::http_ports, " 80 ;;8080;"), (std::vector<std::string>{"http://*:80", "http://*:8080"}));
  EXPECT_EQ(texts(Form::url_list, "a; b;"), (std::vector<std::string>{"a", " b"}));
  EXPECT_EQ(texts(Form::single_url, "a; b;"), (std::vector<std::string>{"a; b;"}));
  EXPECT_TRUE(texts(Form::url_list, ";;").empty());
}

TEST(Kestrel, EndpointsBeatUrlsUnlessUrlsArePreferred) {
  Host host(Settings{{"urls", "http://+:5000"}, {"Kestrel:Endpoints:A:Url", "http://+:5001"}});
  EXPECT_EQ(host.bound(), (Words{"http ANY:5001"}));
  host.setup.prefer_urls = true;
  EXPECT_EQ(host.bound(), (Words{"http ANY:5000"}));
  host.setup.urls = nullptr;
  EXPECT_EQ(host.bound(), (Words{"http ANY:5001"}));
}

TEST(Kestrel, WithNothingConfiguredItIsLocalhost5000) {
  EXPECT_EQ(Host(Settings()).bound(), (Words{"http LOCAL:5000"}));
  EXPECT_EQ(Host(Settings{{"http_ports", "8080;8081"}}).bound(), (Words{"http ANY:8080", "http ANY:8081"}));
}

TEST(Kestrel, ABrokenEndpointEndsTheStartEvenWhereUrlsArePreferred) {
  Host host(Settings{{"urls", "http://+:5000"}, {"Kestrel:Endpoints:A:Protocols", "Http1"}});
  host.setup.prefer_urls = true;
  EXPECT_EQ(host.failure(), "The endpoint A is missing the required 'Url' parameter.");
  host.setup.reads_section = false;
  EXPECT_EQ(host.bound(), (Words{"http ANY:5000"}));
}

TEST(Kestrel, HttpsNeedsACertificateOrCodeThatBringsOne) {
  Host host(Settings{{"urls", "https://+:5001"}});
  EXPECT_TRUE(host.failure().starts_with("Unable to configure HTTPS endpoint."));
  EXPECT_EQ(host.bound(false), (Words{"https ANY:5001"}));
  host.setup.certificate_in_code = true;
  EXPECT_EQ(host.bound(), (Words{"https ANY:5001"}));
  host.setup.has_https = false;
  EXPECT_TRUE(host.failure().starts_with("Call UseKestrelHttpsConfiguration()"));
}

TEST(Kestrel, AnEndpointMayHaveTheEmptyNameAndACertificate) {
  Host host(Settings{{"Kestrel:Endpoints::Url", "https://+:5001"},
                     {"Kestrel:Endpoints::Certificate:Path", "a.pfx"},
                     {"Kestrel:Endpoints::Certificate:Subject", "a"}});
  EXPECT_EQ(host.failure(), "The endpoint  specified multiple certificate sources.");
}

TEST(Kestrel, AServerNameNeedsACertificateUnlessTheEndpointHasOne) {
  const Settings sni = {{"Kestrel:Endpoints:A:Url", "https://+:5001"},
                        {"Kestrel:Endpoints:A:Sni:*.example.com:Protocols", "Http1"}};
  EXPECT_TRUE(Host(sni).failure().starts_with("Unable to configure HTTPS endpoint."));
  Settings both = sni;
  both.emplace_back("Kestrel:Endpoints:A:Certificate:Path", "a.pfx");
  EXPECT_EQ(Host(both).bound(), (Words{"https ANY:5001"}));
  both.emplace_back("Kestrel:Endpoints:A:Sni:*.example.com:Certificate:Path", "b.pfx");
  both.emplace_back("Kestrel:Endpoints:A:Sni:*.example.com:Certificate:Subject", "b");
  EXPECT_EQ(Host(both).failure(), "The endpoint A:Sni:*.example.com specified multiple certificate sources.");
}

TEST(Kestrel, WhatCannotBeBoundSideBySideIsFound) {
  const auto collides = [](const char* urls) {
    return find_collision(start(Host(Settings{{"urls", urls}}).setup, true));
  };
  EXPECT_TRUE(collides("http://+:8080;http://*:8080"));
  EXPECT_TRUE(collides("http://127.0.0.1:8080;http://+:8080"));
  EXPECT_TRUE(collides("http://localhost:8080;http://127.0.0.1:8080"));
  EXPECT_FALSE(collides("http://127.0.0.1:8080;http://127.0.0.2:8080"));
  EXPECT_FALSE(collides("http://+:0;http://+:0"));
  EXPECT_FALSE(collides("http://+:8080;http://+:8081"));
}

}  // namespace
}  // namespace portshim::kestrel
