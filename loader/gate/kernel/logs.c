/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

/* A folder in use by another check is younger than any check can last. */
#define YOUNG_S 3600

static int is_run(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Names begin with the time, so their order is the order of age. */
static void prune(const char *root)
{
	struct dirent **list;
	int count = scandir(root, &list, is_run, alphasort), i;
	struct stat st;

	for (i = 0; i < count; i++) {
		bl_autofree char *path =
			bl_path("%s/%s", root, list[i]->d_name);

		if (path && i + BL_GATE_LOGS_KEPT < count &&
		    lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		    st.st_mtime < time(NULL) - YOUNG_S)
			bl_file_rmtree(path, NULL);
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

int bl_gate_new_log_dir(char **ret_path, struct bl_err *err)
{
	bl_autofree char *cache = bl_path_cache();
	bl_autofree char *root = NULL, *path = NULL;
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;
	int r;

	if (cache)
		root = bl_path("%s/logs/check", cache);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	if (root)
		path = bl_path("%s/%s-%d", root, stamp, (int)getpid());
	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_file_mkdirs(path, 0755, err);
	if (r < 0) {
		bl_err_hint(err,
			    "--log-dir or $BELAY_CACHE name another place");
		return bl_err_wrap(err, r, "a folder for logs");
	}
	prune(root);
	*ret_path = BL_TAKE(path);
	return 0;
}
