// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace millrace {

inline constexpr const char* kVersion = MILLRACE_VERSION;

}  // namespace millrace
