/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_clock.h"

static uint64_t now_ms;

static uint64_t fake_mono(void *ctx)
{
	(void)ctx;
	return now_ms;
}

static int64_t fake_wall(void *ctx)
{
	(void)ctx;
	return 1721361540000 + (int64_t)now_ms;
}

static void fake_sleep(void *ctx, uint64_t ms)
{
	(void)ctx;
	now_ms += ms;
}

const struct bl_host_clock fake_clock = { fake_mono, fake_wall, fake_sleep,
					  NULL };
