/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that must survive a power cut, and reading files that a stranger wrote.
 *
 * A durable write is: temporary file in the same folder, write, fsync, rename
 * over the name, fsync of the folder. A reader sees the old bytes or the new.
 */
#ifndef BL_BASE_FILE_H
#define BL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_NAME_MAX 128

/*
 * A name that may become a path component or an identifier: 1 to BL_NAME_MAX
 * bytes of [A-Za-z0-9._+-], not starting with '.' or '-'. Host names, program
 * names, digests and releases all pass; "..", "a/b" and "" do not.
 */
bool bl_name_valid(const char *name);

/*
 * Reads a whole file, or a pipe to its end, of at most @max_bytes into *ret
 * (added to what is there). -EISDIR, -EFBIG (too large), -EINVAL (neither file nor pipe).
 */
int bl_file_read(const char *path, size_t max_bytes, struct bl_buf *ret,
		 struct bl_err *err);

/* The same of what must be a file, as its name was written by a stranger: never
 * waits for somebody to write into a pipe. -EINVAL (no regular file). */
int bl_file_read_regular(const char *path, size_t max_bytes, struct bl_buf *ret,
			 struct bl_err *err);

/* Durable write as above; the file gets @mode. A link to a file is replaced,
 * not followed. -EISDIR, or -EINVAL for a device, pipe or socket. */
int bl_file_write(const char *path, const void *data, size_t len, mode_t mode,
		  struct bl_err *err);

/*
 * An empty file with that name that its owner alone may read, if there is none:
 * for libraries that make files as the umask has it. What goes wrong is said by
 * whoever opens it then.
 */
void bl_file_claim(const char *path);

/* Whether both names are there and lead to one file: a verb must not write its
 * result over its input. */
bool bl_file_same(const char *a, const char *b);

/* mkdir -p; existing folders are fine and keep their mode. -ENOTDIR when
 * something else has the name. */
int bl_file_mkdirs(const char *path, mode_t mode, struct bl_err *err);

/* rm -rf, never through symbolic links or onto another file system. A missing
 * path is success. */
int bl_file_rmtree(const char *path, struct bl_err *err);

/* fsync of a folder, so that names made in it last. */
int bl_file_sync_dir(const char *path, struct bl_err *err);

/* printf into a new path; NULL when out of memory. Caller frees. */
char *bl_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The folder of caches: $BELAY_CACHE, else /var/cache/belay for root, else
 * $XDG_CACHE_HOME/belay or ~/.cache/belay. Caller frees; NULL without memory. */
char *bl_path_cache(void);

#endif
