/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a manifest says about single programs of its object:
 *
 *	"programs": {
 *	  "drop_all": { "interface": "eth0" },
 *	  "refuse": { "cgroup": "/system.slice", "lease": false },
 *	  "watch": { "strategy": "overlap" }
 *	}
 *
 * cgroup: a path below the root of cgroups, for programs that are attached to
 * one. interface: a network interface, for XDP. strategy: how it gives way to
 * the next version, when the best that the kernel can do is not wanted:
 * "dispatch", "replace" or "overlap". lease: false lets a program that can
 * refuse do so even when nobody keeps the host (loader/kern/slots/strategy.h).
 */
#ifndef BL_BUNDLE_PROGRAMS_H
#define BL_BUNDLE_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/json.h"

#define BL_MANIFEST_PROGRAMS_MAX 32
#define BL_PROGRAM_NAME_MAX	 63
#define BL_CGROUP_PATH_MAX	 95
#define BL_INTERFACE_NAME_MAX	 15 /* the kernel's */

enum bl_program_strategy {
	BL_PROGRAM_BEST, /* the kernel decides */
	BL_PROGRAM_DISPATCH,
	BL_PROGRAM_REPLACE,
	BL_PROGRAM_OVERLAP,
};

struct bl_manifest_program {
	char name[BL_PROGRAM_NAME_MAX + 1];
	enum bl_program_strategy strategy;
	bool no_lease;
	char cgroup[BL_CGROUP_PATH_MAX + 1];	   /* "": not said */
	char interface[BL_INTERFACE_NAME_MAX + 1]; /* "": not said */
};

struct bl_manifest_programs {
	struct bl_manifest_program list[BL_MANIFEST_PROGRAMS_MAX];
	size_t count;
};

/* Reads the object at "programs" (NULL: there is none). -EBADMSG; *ret is whole
 * or untouched. */
int bl_programs_read(const struct bl_json_doc *doc, const json_t *obj,
		     struct bl_manifest_programs *ret, struct bl_err *err);

#endif
