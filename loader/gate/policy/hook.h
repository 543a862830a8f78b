/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections that libbpf knows, and what a program in each of them is: its
 * type, whether it may sleep, where it attaches. libbpf itself goes by the same
 * names, and so do the other loaders of note.
 */
#ifndef BL_GATE_HOOK_H
#define BL_GATE_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A program type of the kernel's ABI that the build machine may not know. */
#define BL_PROG_TYPE_NETFILTER 32

struct bl_hook {
	const char *section; /* "fentry.s"; what follows it is the target */
	const char *kind;    /* "fentry": what policies call it */
	uint32_t prog_type;  /* BPF_PROG_TYPE_… */
	bool sleepable;
	const char *target; /* what may follow "section/"; NULL: nothing */
};

/* The kind of a program whose section says nothing to libbpf. */
#define BL_HOOK_UNKNOWN "unknown"

/* By the name of a section, without "?". NULL when libbpf does not know it. */
const struct bl_hook *bl_hook_find(const char *section);

/* Row @i of the table; NULL behind its end. */
const struct bl_hook *bl_hook_at(size_t i);

/* What a program in that section attaches to: "tcp_connect" of
 * "kprobe/tcp_connect". NULL when its loader says so, not the section. */
const char *bl_hook_target(const struct bl_hook *hook, const char *section);

#endif
