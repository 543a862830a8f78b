/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report as JSON: written for other programs, and read back from a guest or
 * from an earlier `belay check --json`.
 */
#ifndef BL_GATE_REPORT_JSON_H
#define BL_GATE_REPORT_JSON_H

#include "loader/gate/finding.h"

#define BL_REPORT_JSON_MAX (32u << 20) /* bytes of a report that is read */

/* The report as text, NULL without memory. Caller frees. */
char *bl_report_to_json(const struct bl_report *r);

/*
 * Reads a report back. Strict; -EBADMSG with file:line when it is malformed or
 * when its stated verdict is not the one that its findings give.
 */
int bl_report_from_json(const char *name, const char *text, size_t len,
			struct bl_report *ret, struct bl_err *err);

/* As above from a file. */
int bl_report_load_json(const char *path, struct bl_report *ret,
			struct bl_err *err);

#endif
