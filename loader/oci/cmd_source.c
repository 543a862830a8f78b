/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/cmd_source.h"

#include "loader/base/clock.h"

#define QUIET_MS 2000 /* nobody needs to be told of less */
#define STEP_MS	 1000

bool bl_source_option(int c, const char *value, struct bl_source_options *o)
{
	switch (c) {
	case BL_OPT_SOURCE_CA:
		o->transfer.ca = value;
		return true;
	case BL_OPT_SOURCE_AUTH:
		o->auth_file = value;
		return true;
	case BL_OPT_SOURCE_PLAIN:
		o->transfer.plain_http = true;
		return true;
	default:
		return false;
	}
}

static void on_bytes(void *ctx, size_t have, size_t total)
{
	struct bl_source_show *show = ctx;
	uint64_t now = bl_clock_mono_ms();

	if (now - show->start_ms < QUIET_MS ||
	    (now - show->told_ms < STEP_MS && have != total))
		return;
	show->told_ms = now;
	show->progress.total = (unsigned)(total >> 10);
	bl_progress_step(&show->progress, (unsigned)(have >> 10), "KiB");
}

void bl_source_show(struct bl_source_show *show, struct bl_source_options *o)
{
	bl_progress_start(&show->progress, "pull", 0);
	show->start_ms = bl_clock_mono_ms();
	show->told_ms = 0;
	o->transfer.progress = on_bytes;
	o->transfer.ctx = show;
}

void bl_source_show_end(struct bl_source_show *show)
{
	bl_progress_end(&show->progress);
}
