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
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)   # Asio's fences are not seen by it, which would be an error
  endif()
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
    millrace_precompile(${name})   # has macros or options that no other has
  else()
    millrace_precompile_like(${name} millrace_precompiled)
  endif()
endfunction()

# The headers that nearly every file reads, read once instead of once per file in the builds with sanitizers, which
# continuous integration makes from nothing.  The release build goes without, so that a file which forgets an include
# does not compile.
# millrace_precompile(TARGET header...): the target's own, 46 MB.
# millrace_precompile_like(TARGET OTHER): those of OTHER, whose options TARGET must have, and at least its macros.
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

# What most libraries have precompiled in common.
if(MILLRACE_SANITIZE STREQUAL "address" OR MILLRACE_SANITIZE STREQUAL "thread")
  file(TOUCH ${CMAKE_BINARY_DIR}/precompiled.cc)
  add_library(millrace_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
  target_link_libraries(millrace_precompiled PRIVATE millrace_schemas Boost::headers fmt::fmt simdjson::simdjson
    millrace_warnings)
  if(MILLRACE_SANITIZE STREQUAL "address")
    target_compile_options(millrace_precompiled PRIVATE -fsanitize=undefined -fno-sanitize-recover=undefined)
  endif()
  millrace_precompile(millrace_precompiled)
endif()

add_library(millrace_warnings INTERFACE)
# g++ 12 sees uninitialised members in std::optional that are none, and with a sanitizer reads beyond vtables of the
# FlatBuffers headers.
target_compile_options(millrace_warnings INTERFACE -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers
  -Wno-maybe-uninitialized -Wno-stringop-overread)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(millrace_warnings INTERFACE -Wno-error -Wno-unknown-warning-option)   # it warns of other things than g++
endif()
