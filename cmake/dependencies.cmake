# Every library is a distribution package; nothing is vendored or downloaded.
find_package(fmt 9 REQUIRED)
set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.74 REQUIRED COMPONENTS program_options)
find_package(RapidJSON REQUIRED)
find_path(LIBCAP_INCLUDE_DIR sys/capability.h REQUIRED)
find_library(LIBCAP_LIBRARY NAMES libcap.a cap REQUIRED)

# Our own build of fmt's library (shim/fmt.cc).
add_library(portshim_fmt STATIC shim/fmt.cc)
target_include_directories(portshim_fmt SYSTEM PUBLIC $<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>)
target_link_libraries(portshim_fmt PRIVATE portshim_options_common)
# Without this fmt pulls in std::locale, which costs 0.6 MB in a static binary.
target_compile_definitions(portshim_fmt PUBLIC FMT_STATIC_THOUSANDS_SEPARATOR=',')

add_library(portshim_boost INTERFACE)
target_link_libraries(portshim_boost INTERFACE Boost::program_options)

add_library(portshim_libcap INTERFACE)
target_include_directories(portshim_libcap SYSTEM INTERFACE ${LIBCAP_INCLUDE_DIR})
target_link_libraries(portshim_libcap INTERFACE ${LIBCAP_LIBRARY})

add_library(portshim_rapidjson INTERFACE)
target_include_directories(portshim_rapidjson SYSTEM INTERFACE ${RAPIDJSON_INCLUDE_DIRS} ${RapidJSON_INCLUDE_DIRS})
