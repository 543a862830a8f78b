/* SPDX-License-Identifier: Apache-2.0 */
/* How a loaded program ran, as the kernel counts it. For loader/kern only. */
#ifndef BL_KERN_RUNS_H
#define BL_KERN_RUNS_H

#include <stdint.h>

struct bl_kern_runs {
	uint64_t count, time_ns, missed;
};

#endif
