/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host over both kinds of models, eBPF's (fake_kern.h) and the kernel
 * module's (fake_kmod.h), and a version of each kind to apply. Bundles and slots
 * of modules are files in a folder of the test's own.
 *
 *	twin_set_up(&twin);
 *	twin_host(&twin)	a host; the caller closes it
 *	twin_tear_down(&twin);
 *
 * What does not work out fails the running test.
 */
#ifndef TWIN_HOST_H
#define TWIN_HOST_H

#include "loader/host/host.h"
#include "loader/kern/both.h"
#include "tests/support/fake_kmod.h"

enum twin_version { TWIN_M1, TWIN_M2, TWIN_M3, TWIN_E1, TWIN_VERSIONS };

/* Of the module of a version: what the model's lossy and refuses name. */
#define TWIN_TAG(version)                                               \
	((const char *const[]){ "0101010101010101", "0202020202020202", \
				"0303030303030303" }[version])

struct twin {
	struct fake_kern *kern;
	struct fake_kmod *kmod;
	struct bl_kern_both *both;
	char *dir, *state_dir, *module_dir;
	const char *pstore_dir; /* the test's; NULL: none */
	struct bl_bundle bundles[TWIN_VERSIONS];
};

void twin_set_up(struct twin *twin);
void twin_tear_down(struct twin *twin);

struct bl_host *twin_open(const struct twin *twin);

/* A bundle of a module like M1 with @content in JSON. The caller frees *ret. */
void twin_bundle(const struct twin *twin, int version, const char *content,
		 struct bl_bundle *ret);

/* The power goes, and the host boots again. */
void twin_reboot(struct twin *twin);

#endif
