// What the app's code does about its endpoints, as facts for the prediction. Pure data.
#pragma once

#include <cstdint>
#include <string>

#include "shim/address.h"

namespace portshim::code {

enum class Kind : std::uint8_t {
  setting,                ///< UseUrls, UseSetting, PreferHostingUrls: sets the host's `key` to `value`
  address,                ///< app.Urls.Add, app.Run(url): adds the address `value`
  listen,                 ///< KestrelServerOptions.Listen…: binds `target`
  https,                  ///< UseKestrelHttpsConfiguration, and UseKestrel, which includes it
  certificate,            ///< gives https a default certificate, or a selector of one
  environment_variables,  ///< AddEnvironmentVariables() on the configuration of CreateEmptyBuilder
  kestrel_section,        ///< KestrelServerOptions.Configure(section)
  configuration,          ///< UseConfiguration and the like: settings that only the app knows
  socket,                 ///< TcpListener, UdpClient, Socket.Bind: binds `target` beside Kestrel
};

/// One call in the app's code. A code path may not run: a call is likely, never certain.
struct Call {
  Kind kind = Kind::listen;
  std::string api = {};        ///< the method's name: "ListenAnyIP", "TcpListener"
  std::string arguments = {};  ///< as to be shown: "80", "http://*:80", "computed at run time"
  bool known = true;           ///< `key`, `value` and `target` are constants of the code; else they are not set
  std::string key = {};
  std::string value = {};
  address::Target target = {};
  bool has_options = false;   ///< listen: a delegate configures the endpoint (UseHttps, Protocols, …)
  std::string assembly = {};  ///< file name: "App.dll"
  std::string method = {};    ///< the user's method that it stands in: "Program.<Main>$"
};

}  // namespace portshim::code
