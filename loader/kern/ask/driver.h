/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: a process of our own that does what is to be seen, while this one
 * looks. Its standard streams are /dev/null, and it dies with us.
 */
#ifndef BL_KERN_DRIVER_H
#define BL_KERN_DRIVER_H

#include <stddef.h>
#include <sys/types.h>

#include "loader/base/err.h"

/*
 * Starts a driver that does work(arg, fd) and no more. *ret_fd is the other end
 * of its fd, a stream in both directions: at the end of file it is gone or
 * going. The caller closes it, and then calls bl_driver_end.
 */
int bl_driver_start(void (*work)(void *arg, int fd), void *arg, pid_t *ret_pid,
		    int *ret_fd, struct bl_err *err);

/* Kills it if it still runs, and waits for it. */
void bl_driver_end(pid_t pid);

/* Zeroed memory that drivers which start later share with us; NULL: none. */
void *bl_driver_share(size_t size);
void bl_driver_unshare(void *memory, size_t size);

#endif
