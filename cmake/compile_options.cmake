include(CheckLinkerFlag)

# portshim_options_common: for every C++ target.
add_library(portshim_options_common INTERFACE)
target_compile_options(portshim_options_common INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror
  -ffunction-sections -fdata-sections -fstack-protector-strong)
if(PORTSHIM_SANITIZE)
  # Without vptr: that check looks at memory through a pipe, and some tests take all descriptors away.
  target_compile_options(portshim_options_common INTERFACE -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(portshim_options_common INTERFACE -fsanitize=address,undefined)
endif()
if(PORTSHIM_FUZZ)
  # Coverage of everything; only the targets get libFuzzer's main (tests/CMakeLists.txt).
  target_compile_options(portshim_options_common INTERFACE -fsanitize=fuzzer-no-link
    # For Clang: GCC's std::ranges::stable_sort uses what is deprecated, and see .clang-tidy for rapidjson.
    -Wno-deprecated-declarations -fdelayed-template-parsing -Wno-delayed-template-parsing-in-cxx20
    "-fsanitize-ignorelist=${PROJECT_SOURCE_DIR}/tests/fuzz/ignored.txt")
  target_link_options(portshim_options_common INTERFACE -fsanitize=fuzzer-no-link)
endif()

# portshim_ship: for the binary that is shipped.
add_library(portshim_ship INTERFACE)
if(PORTSHIM_STATIC)
  target_compile_options(portshim_options_common INTERFACE -fPIE
    # No path of the build machine in the binary: the same source gives the same bytes wherever it is built.
    "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
  # _FORTIFY_SOURCE needs optimisation; undefined first, since Ubuntu's GCC predefines another level.
  target_compile_options(portshim_options_common INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=2>)
  target_link_options(portshim_ship INTERFACE -static-pie -s -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
  # Relocations of a static-pie are 0.1 MB without it. Binutils 2.38 and glibc 2.36 know it.
  check_linker_flag(CXX -Wl,-z,pack-relative-relocs PORTSHIM_HAS_PACK_RELATIVE_RELOCS)
  if(PORTSHIM_HAS_PACK_RELATIVE_RELOCS)
    target_link_options(portshim_ship INTERFACE -Wl,-z,pack-relative-relocs)
  endif()
endif()
