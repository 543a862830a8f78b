/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in profiles, for profile.c; everybody else asks profile.h. */
#ifndef BL_GATE_PROFILE_TABLE_H
#define BL_GATE_PROFILE_TABLE_H

#include "loader/gate/policy/profile.h"

/* Verdicts of observe, enforce and trusted. */
enum bl_profile_class {
	BL_PROFILE_WATCH,   /* pass, pass, pass */
	BL_PROFILE_DECIDE,  /* reject, pass, pass */
	BL_PROFILE_DANGER,  /* reject, reject, warn */
	BL_PROFILE_LOOK,    /* warn, warn, pass */
	BL_PROFILE_OBSCURE, /* undecided, undecided, warn */
};

struct bl_profile_row {
	const char *pattern;
	const char *what; /* goes on after "…, which"; "": nothing to say */
	enum bl_profile_class class;
};

/* The rows of a subject: the last that matches counts, the first always does. */
const struct bl_profile_row *bl_profile_rows(enum bl_subject subject,
					     size_t *ret_count);

enum bl_verdict bl_profile_verdict(enum bl_profile_class c,
				   enum bl_profile_base base);

#endif
