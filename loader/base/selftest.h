/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this host can be used: what a person who logs in needs, done by who
 * asks itself. It opens a file, runs a program and connects to itself, as
 * root, within a deadline.
 *
 * What it cannot see is a network beyond the loopback: a filter on a network
 * card that drops everything. A command of the host's owner can (--check).
 */
#ifndef BL_BASE_SELFTEST_H
#define BL_BASE_SELFTEST_H

#include "loader/base/err.h"

#define BL_SELFTEST_MS 5000 /* for each of its steps */

/*
 * 0, or -errno and which step failed. @check is a command (or NULL) that must
 * end with 0 as well. Of these, nothing or little is known:
 *
 *	-EINTR, -ECANCELED	interrupted
 *	-EAGAIN			a step could not be made: there was no process, no
 *				descriptor or no memory for it
 *	-ETIMEDOUT		it did not end in time: something keeps it, or the
 *				machine is busy
 */
int bl_selftest(const char *check, struct bl_err *err);

#endif
