/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place that a program is attached to, and a link to it. For loader/kern
 * only.
 *
 * Hooks of two generations are the same hook if they have the same name among
 * the pins: "fentry-security_file_open", "cgroup_connect4-%2F". A second
 * program of one object on the same hook has "~2" at the end.
 */
#ifndef BL_KERN_HOOK_H
#define BL_KERN_HOOK_H

#include <bpf/libbpf.h>

#include "loader/kern/slots/strategy.h"

#define BL_HOOK_TARGET_MAX 96

struct bl_hook {
	char name[BL_KERN_HOOK_LEN];	 /* among the pins */
	const struct bl_hook_kind *kind; /* NULL: not in the table */
	char target[BL_HOOK_TARGET_MAX]; /* "" if it is not known */
	bool sleepable;
	bool harmless;
	__u32 flags; /* of the load, that a dispatcher must share */
};

/*
 * Where @prog goes; no kernel is asked. @wish may be NULL. -EINVAL: it belongs
 * on a cgroup or an interface and nobody says on which.
 */
int bl_hook_of(const struct bpf_program *prog, const struct bl_kern_wish *wish,
	       struct bl_hook *ret, struct bl_err *err);

/* Whether @prog may sleep, by its section or its flags. */
bool bl_hook_sleeps(const struct bpf_program *prog);

/* Whether @prog, which was not loaded yet, returns 0 wherever it ends: of a kind
 * whose neutral answer that is, it can refuse nothing. */
bool bl_hook_harmless(const struct bpf_program *prog);

/* The next hook of this name: for the second program on it. */
void bl_hook_next(struct bl_hook *hook, unsigned number);

/* As people write it: "fentry/security_file_open". @name as among the pins. */
void bl_hook_words(const char *name, char ret[static BL_KERN_HOOK_LEN]);

/* The kind in a name among the pins; NULL. */
const struct bl_hook_kind *bl_hook_kind_in(const char *name);

/* Links the program at @prog_fd to @hook, whose kind is known. Returns the
 * link's descriptor. -EBUSY: another program is there and shares it not. */
int bl_hook_link(const struct bl_hook *hook, int prog_fd, struct bl_err *err);

#endif
