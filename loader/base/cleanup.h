/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanup by attribute. A resource is released where its scope ends; it leaves
 * the scope only through BL_TAKE (pointers) or BL_TAKE_FD (descriptors), which
 * empty the variable, so that nothing is released twice.
 */
#ifndef BL_BASE_CLEANUP_H
#define BL_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void bl_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void bl_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void bl_cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void bl_cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Defines bl_auto_TYPE's helper for `void fn(T *)` that takes NULL-safe or
 * zero-initialised objects: BL_CLEANUP(fn) T x = {0}; */
#define BL_CLEANUP(fn) __attribute__((cleanup(fn)))

#define bl_autofree	__attribute__((cleanup(bl_cleanup_free)))
#define bl_autoclose	__attribute__((cleanup(bl_cleanup_close)))
#define bl_autofclose	__attribute__((cleanup(bl_cleanup_fclose)))
#define bl_autoclosedir __attribute__((cleanup(bl_cleanup_closedir)))

#define BL_TAKE(p)                      \
	__extension__({                 \
		__typeof__(p) _t = (p); \
		(p) = NULL;             \
		_t;                     \
	})

#define BL_TAKE_FD(fd)         \
	__extension__({        \
		int _t = (fd); \
		(fd) = -1;     \
		_t;            \
	})

#define BL_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
