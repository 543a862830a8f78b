/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host over the fake kernel, in the test's own process, and two versions to
 * apply. For what a user of host.h relies on; where things fail or die, rig.h.
 *
 *	static struct one_host one;
 *
 *	static void set_up(void) { one_host_set_up(&one); }
 *	static void tear_down(void) { one_host_tear_down(&one); }
 *
 * What does not work out fails the running test.
 */
#ifndef ONE_HOST_H
#define ONE_HOST_H

#include "loader/host/host.h"
#include "tests/support/fake_kern.h"

#define ONE_HOST_PROBATION_MS 1000

struct one_host {
	char *dir, *state_dir;
	struct fake_kern *fake;
	struct bl_host *host;
	struct bl_bundle v1, v2;
	struct bl_apply_result res; /* of the last one_host_apply */
	/* What the self test of the host says; NULL: it can be used. */
	int (*usable)(const struct one_host *one, struct bl_err *err);
};

void one_host_set_up(struct one_host *one);
void one_host_tear_down(struct one_host *one);

/* The same host once more, as another process has it. The caller closes it. */
struct bl_host *one_host_open(const struct one_host *one);

/* A file in one->dir, which is not the state folder. */
void one_host_write(const struct one_host *one, const char *name,
		    const char *text);

/* @content in JSON, or NULL for none. The caller frees *ret. */
void one_host_bundle(const struct one_host *one, const char *version,
		     const char *content, struct bl_bundle *ret);

/* Applies @b; @opts may be NULL. It must end in @outcome. */
void one_host_apply(struct one_host *one, const struct bl_bundle *b,
		    const struct bl_apply_opts *opts,
		    enum bl_apply_outcome outcome);

struct bl_host_status one_host_status(const struct one_host *one);

#endif
