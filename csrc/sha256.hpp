// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4), for the checksum of model files.
#ifndef CAMLIP_SHA256_HPP
#define CAMLIP_SHA256_HPP

#include <cstddef>
#include <string>

namespace camlip {

// 64 hexadecimal digits, lower case.
std::string sha256(const unsigned char* data, std::size_t size);

}  // namespace camlip

#endif
