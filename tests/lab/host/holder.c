/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies a bundle and lives on, as an agent does. What it committed belongs
 * to the host then: another process must be able to take it away.
 *
 * usage: holder BUNDLE	(prints "committed" when it is, then waits)
 *	  holder BUNDLE BUNDLE	(commits one after the other, some times, and
 *				counts the descriptors that are left of it)
 */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/host/host.h"

#define ROUNDS 3

static int commit(struct bl_host *host, const char *path)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	struct bl_apply_opts opts = { .probation_ms = 500,
				      .override_reason = "a test" };
	struct bl_apply_result res = { 0 };
	struct bl_err err = { 0 };
	int r = bl_bundle_open(path, &bundle, &err);

	if (!r)
		r = bl_host_apply(host, &bundle, &opts, &res, &err);
	if (!r && res.outcome == BL_APPLY_COMMITTED && res.sample.run_count)
		return 0;
	printf("holder: %s: %s%s, %lu runs\n", path, err.text, res.reason,
	       (unsigned long)res.sample.run_count);
	return -1;
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int again_and_again(struct bl_host *host, char **paths)
{
	int commits = 0, before = 0;

	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < 2; k++, commits++)
			if (commit(host, paths[k]))
				return 1;
		/* After the first round: the journal has its own. */
		if (!i)
			before = descriptors();
	}
	printf("committed %d, kept %d descriptors\n", commits,
	       descriptors() - before);
	return 0;
}

int main(int argc, char **argv)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	struct bl_host_config config = { 0 };
	struct bl_err err = { 0 };

	if (argc < 2 || argc > 3 || bl_host_open(&config, &host, &err)) {
		printf("holder: %s\n", err.text);
		return 1;
	}
	if (argc == 3)
		return again_and_again(host, argv + 1);
	if (commit(host, argv[1]))
		return 1;
	puts("committed");
	fflush(stdout);
	pause();
	return 0;
}
