# Toolchain file: cross compiles for arm64 with Debian's compiler. The libraries are those that `scripts/setup arm64` unpacks
# into build/arm64-libraries; headers that are the same everywhere (Boost, RapidJSON) are this machine's.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(PORTSHIM_ARM64_LIBRARIES "${CMAKE_CURRENT_LIST_DIR}/../build/arm64-libraries" CACHE PATH "arm64 packages, unpacked")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PORTSHIM_ARM64_LIBRARIES)
set(CMAKE_FIND_ROOT_PATH "${PORTSHIM_ARM64_LIBRARIES}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
# RapidJSON's package and Boost's headers are here alone.
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
# Boost's own CMake files take the library that is beside the headers.
set(Boost_NO_BOOST_CMAKE ON)

# fmt is used as headers alone, so this machine's package serves.
file(GLOB fmt_DIR /usr/lib/*/cmake/fmt)

# Tests run in user-mode emulation. -L is where a program that is not static finds its loader and libraries.
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64-static;-L;/usr/aarch64-linux-gnu")
