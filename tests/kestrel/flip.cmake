# cmake -D SOURCE=shim/hosting.cc -D OUTPUT=FILE -P flip.cmake: the predictor with one rule of precedence turned round,
# which the judge must notice. DOTNET_ variables lose to ASPNETCORE_ ones in WebApplication.CreateBuilder.
set(rule "host_level.add(from.aspnetcore);\n    host_level.add(from.dotnet);")
set(flipped_rule "host_level.add(from.dotnet);\n    host_level.add(from.aspnetcore);")
file(READ ${SOURCE} text)
string(REPLACE "${rule}" "${flipped_rule}" flipped "${text}")
if(flipped STREQUAL text)
  message(FATAL_ERROR "${SOURCE} does not have the rule that is to be turned round: ${rule}")
endif()
file(WRITE ${OUTPUT} "${flipped}")
