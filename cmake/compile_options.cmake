# portshim_options_common: for every target. portshim_ship: for the binary that is shipped.
add_library(portshim_options_common INTERFACE)
target_compile_options(portshim_options_common INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror
  -ffunction-sections -fdata-sections -fstack-protector-strong)
if(PORTSHIM_SANITIZE)
  target_compile_options(portshim_options_common INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(portshim_options_common INTERFACE -fsanitize=address,undefined)
endif()

add_library(portshim_ship INTERFACE)
if(PORTSHIM_STATIC)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  target_compile_options(portshim_options_common INTERFACE -fPIE)
  target_link_options(portshim_ship INTERFACE -static-pie -s -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,noexecstack
    -Wl,-z,pack-relative-relocs)
endif()
