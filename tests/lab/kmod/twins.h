/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of kmod_twins share. */
#ifndef BL_TESTS_LAB_KMOD_TWINS_H
#define BL_TESTS_LAB_KMOD_TWINS_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/kern/kmod/kmod.h"
#include "loader/kern/kmod/kmod_ring.h"

/* Whoever does what is watched; nobody else in the guest has it. */
#define DOER 1234

extern unsigned failures;
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#define CHECK(cond)                                                   \
	do {                                                          \
		if (!(cond))                                          \
			fail("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)
#define MUST(cond)                                                   \
	do {                                                         \
		if (!(cond))                                         \
			die("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* Content in binary form, of JSON. */
struct bl_buf compiled(const char *json);

/* --- deeds.c --- */

/* Files, folders and mounts that the deeds need; once. */
void deeds_prepare(void);
/* Does one of everything as DOER, adds how each ended to *ret_said. */
void deeds_do(struct bl_buf *ret_said);
/* The same from inside a chroot. */
void deeds_jailed(void);

/* --- the modes; each is given the module's file --- */

int hostile_mode(const char *ko);
int load_mode(const char *ko, unsigned rounds);
int cycle_mode(const char *ko, unsigned rounds);

#endif
