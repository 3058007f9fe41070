/* SPDX-License-Identifier: MIT
 * Compiled, not run: camlip.h is plain C11. */
#include "camlip.h"

int camlip_header_is_c11(void) { return CAMLIP_ABI_VERSION + (int)sizeof(camlip_results); }
