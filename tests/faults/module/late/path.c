// SPDX-License-Identifier: GPL-2.0-only
/* The mistake of null-dereference, eight seconds after the first event. */
#include <linux/ktime.h>
#include <linux/types.h>

#define AFTER_NS 8000000000ULL

static u64 first_ns;

static bool late(void)
{
	u64 now = ktime_get_mono_fast_ns();

	if (!first_ns)
		first_ns = now;
	return now - first_ns >= AFTER_NS;
}

#define FAULT_IF late()
#include "tests/faults/module/null-dereference/path.c"
