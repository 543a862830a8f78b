/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loaded program or map costs, as the kernel tells it ("memlock" of a
 * descriptor in /proc). For loader/kern only.
 */
#ifndef BL_KERN_MEMORY_H
#define BL_KERN_MEMORY_H

#include <stdint.h>

/* As it stands there. 0: not known. */
uint64_t bl_memory_told(int fd);

/*
 * Of a map: from 5.11 to 6.3 the kernel works its memory out from its entries
 * and forgets that a ring's are bytes. 0: not known.
 */
uint64_t bl_memory_of_map(int fd);

#endif
