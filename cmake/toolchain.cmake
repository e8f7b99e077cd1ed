# SPDX-License-Identifier: Apache-2.0
# Compiler cache, linker, warnings and sanitizers.
find_program(MILLRACE_CCACHE ccache)
if(MILLRACE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MILLRACE_CCACHE})
endif()
find_program(MILLRACE_MOLD mold)
if(MILLRACE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(MILLRACE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(MILLRACE_SANITIZE STREQUAL "thread")
  # Asio's fences are not seen by it, which g++ would make an error.
  add_compile_options(-fsanitize=thread -Wno-tsan)
  add_link_options(-fsanitize=thread)
elseif(MILLRACE_SANITIZE STREQUAL "fuzzer")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(NOT MILLRACE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "MILLRACE_SANITIZE is '${MILLRACE_SANITIZE}': expected empty, address, thread or fuzzer")
endif()

# millrace_library(NAME [NO_UBSAN] [PUBLIC lib...] [PRIVATE lib...]): every .cc of the current folder.
# NO_UBSAN is for the Beast files, which cost five times the build time under it.
function(millrace_library name)
  cmake_parse_arguments(arg "NO_UBSAN" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/*/*.cc)
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} millrace_warnings)
  if(MILLRACE_SANITIZE STREQUAL "address" AND NOT arg_NO_UBSAN)
    target_compile_options(${name} PRIVATE -fsanitize=undefined -fno-sanitize-recover=undefined)
  endif()
  if(name STREQUAL "millrace_bus" OR arg_NO_UBSAN)
    millrace_precompile(${name})
  else()
    millrace_precompile_like(${name} millrace_bus)
  endif()
endfunction()

# The headers that nearly every file reads, read once instead of once per file in the builds with sanitizers, which
# continuous integration makes from nothing.  The release build goes without, so that a file which forgets an include
# does not compile.
# millrace_precompile(TARGET header...): the target's own, 200 MB.
# millrace_precompile_like(TARGET OTHER): those of OTHER, which must be compiled with the same options.
function(millrace_precompile target)
  if(MILLRACE_SANITIZE STREQUAL "address" OR MILLRACE_SANITIZE STREQUAL "thread")
    target_precompile_headers(${target} PRIVATE <algorithm> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional>
      <string> <string_view> <unordered_map> <utility> <variant> <vector> <fmt/format.h> <schemas/event_generated.h>
      <schemas/view_generated.h> ${ARGN})
  endif()
endfunction()
function(millrace_precompile_like target other)
  if(MILLRACE_SANITIZE STREQUAL "address" OR MILLRACE_SANITIZE STREQUAL "thread")
    target_precompile_headers(${target} REUSE_FROM ${other})
  endif()
endfunction()

add_library(millrace_warnings INTERFACE)
# g++ 12 sees uninitialised members in std::optional that are none, and with a sanitizer reads beyond vtables of the
# FlatBuffers headers.
target_compile_options(millrace_warnings INTERFACE -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers
  -Wno-maybe-uninitialized -Wno-stringop-overread)
if(MILLRACE_SANITIZE STREQUAL "fuzzer")
  target_compile_options(millrace_warnings INTERFACE -Wno-error -Wno-unknown-warning-option)   # clang warns of other things than g++
endif()
