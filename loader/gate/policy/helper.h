/* SPDX-License-Identifier: Apache-2.0 */
/* The names of helpers, which bytecode calls by number. */
#ifndef BL_GATE_HELPER_H
#define BL_GATE_HELPER_H

#include <stdint.h>

/* They have numbers below this one, and no other ever will: since 6.3 the
 * kernel takes new functions as kfuncs only. */
#define BL_HELPERS_END 212

/* "bpf_map_lookup_elem"; NULL for 0 and what is not known. */
const char *bl_helper_name(uint32_t id);

#endif
