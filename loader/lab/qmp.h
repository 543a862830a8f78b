/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QEMU's monitor says: a line of JSON for its greeting, for the answer to
 * each command, in their order, and for events at any time. Pure.
 *
 * Usage: zero-initialise; bl_qmp_ask builds each command and counts it; feed
 * what arrives. All is well as long as bl_qmp_feed returns 0; bl_qmp_idle says
 * that every command has been answered. Nothing else of an answer is kept: of
 * those asked here only success is of interest.
 */
#ifndef BL_LAB_QMP_H
#define BL_LAB_QMP_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_QMP_LINE_MAX 65536

enum bl_qmp_migration {
	BL_QMP_NOT_MIGRATED, /* not begun, or not over */
	BL_QMP_MIGRATED,
	BL_QMP_MIGRATION_FAILED,
};

struct bl_qmp {
	bool greeted;
	unsigned owed; /* commands without an answer yet */
	enum bl_qmp_migration migration;
	bool reset;	    /* it ended since the guest was reset */
	bool watchdog;	    /* a watchdog device went off */
	struct bl_buf held; /* a line that is not complete */
};

void bl_qmp_free(struct bl_qmp *q);

/* Adds the command @name with the members of @arguments ("\"fd\":1", or NULL)
 * to *out, and expects its answer. -ENOMEM. */
int bl_qmp_ask(struct bl_qmp *q, const char *name, const char *arguments,
	       struct bl_buf *out);

/*
 * Takes @len bytes. -EREMOTEIO when QEMU refused a command, with its words;
 * -EBADMSG for what is no such line, for an answer that nobody asked for or
 * before the greeting; -EFBIG for a line beyond BL_QMP_LINE_MAX. After any of
 * these *q is only good for bl_qmp_free.
 */
int bl_qmp_feed(struct bl_qmp *q, const void *data, size_t len,
		struct bl_err *err);

/* Greeted, and nothing owed. */
bool bl_qmp_idle(const struct bl_qmp *q);

#endif
