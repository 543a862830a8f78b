/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies a bundle and lives on, as an agent does. What it committed belongs
 * to the host then: another process must be able to take it away.
 *
 * usage: holder BUNDLE	(prints "committed" when it is, then waits)
 */
#include <stdio.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/host/host.h"

int main(int argc, char **argv)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	struct bl_apply_opts opts = { .probation_ms = 500,
				      .override_reason = "a test" };
	struct bl_host_config config = { 0 };
	struct bl_apply_result res = { 0 };
	struct bl_err err = { 0 };
	int r = argc == 2 ? 0 : -1;

	if (!r)
		r = bl_bundle_open(argv[1], &bundle, &err);
	if (!r)
		r = bl_host_open(&config, &host, &err);
	if (!r)
		r = bl_host_apply(host, &bundle, &opts, &res, &err);
	if (r || res.outcome != BL_APPLY_COMMITTED) {
		printf("holder: %s%s\n", err.text, res.reason);
		return 1;
	}
	puts("committed");
	fflush(stdout);
	pause();
	return 0;
}
