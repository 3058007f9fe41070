// SPDX-License-Identifier: MIT
// Models that come with the package are named "camlip:silicon" where others are paths.
#ifndef CAMLIP_PRETRAINED_HPP
#define CAMLIP_PRETRAINED_HPP

#include <string>

namespace camlip {

// Path of a pretrained model; any other name is returned as it is.
// Throws FileError where the name is not that of a model.
std::string pretrained_path(const std::string& name);

}  // namespace camlip

#endif
