// SPDX-License-Identifier: MIT
// Which instruction set an option `simd` asks for.
#ifndef CAMLIP_INSTRUCTION_SET_HPP
#define CAMLIP_INSTRUCTION_SET_HPP

#include <string>

namespace camlip {

// The option itself, but instead of "auto" the environment variable CAMLIP_SIMD where it is set:
// so that every host can be made to run with each set.  Throws ArgumentError for unknown names;
// whether this machine has the set is for the backend to say.
std::string instruction_set(const std::string& option);

}  // namespace camlip

#endif
