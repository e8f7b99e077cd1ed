// SPDX-License-Identifier: Apache-2.0
// Which sanitizer this build has: g++ says it by macros, clang by __has_feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define MILLRACE_HAS_ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define MILLRACE_HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MILLRACE_HAS_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define MILLRACE_HAS_THREAD_SANITIZER 1
#endif
#endif
