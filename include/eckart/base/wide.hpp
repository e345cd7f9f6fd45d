#pragma once

namespace eckart {

/// 128-bit integer (an extension of GCC and Clang).
__extension__ typedef unsigned __int128 Wide;

}  // namespace eckart
