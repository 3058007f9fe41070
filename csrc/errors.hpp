// SPDX-License-Identifier: MIT
// The engine's exceptions; capi.cpp turns each into its camlip_status.
#ifndef CAMLIP_ERRORS_HPP
#define CAMLIP_ERRORS_HPP

#include <stdexcept>

namespace camlip {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct ArgumentError : Error {  // the caller broke the contract of a function
    using Error::Error;
};
struct FileError : Error {  // model file missing, truncated or malformed
    using Error::Error;
};
struct BackendError : Error {  // backend not built in, or no such device
    using Error::Error;
};
struct ExchangeError : Error {  // a halo-exchange callback returned non-zero
    using Error::Error;
};
struct NumericError : Error {  // NaN or infinity in the input, or in the result
    using Error::Error;
};

}  // namespace camlip

#endif
