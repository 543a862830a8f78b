/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a verb, read by a table:
 *
 *	static const struct bl_arg rows[] = {
 *		{ "the host's name", BL_ARG_NEEDED,
 *		  offsetof(struct options, host), 0, 0 },
 *		{ "reason", BL_ARG_TEXT, offsetof(struct options, reason), 1,
 *		  BL_REASON_MAX - 1 },
 *		{ "valid", BL_ARG_TIME, offsetof(struct options, valid_ms),
 *		  1000, BL_TOKEN_VALID_MAX * 1000 },
 *	};
 *	static const struct bl_args spec = { "host token", usage, rows,
 *					     BL_ARRAY_SIZE(rows) };
 *
 *	if (!bl_args_read(&spec, argc, argv, &o, &code, err))
 *		return code;
 *
 * Every verb has --help and -h beside its rows. Options and operands may come
 * in any order; what follows -- is an operand. Members that no option names
 * keep their value, so defaults are set before. Texts are argv's.
 */
#ifndef BL_BASE_ARGS_H
#define BL_BASE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_ARGS_MAX 24 /* rows of a verb */

enum bl_arg_kind {
	BL_ARG_FLAG,	/* bool */
	BL_ARG_TEXT,	/* const char *; min/max: bytes */
	BL_ARG_NUMBER,	/* long; min/max: value */
	BL_ARG_TIME,	/* uint64_t ms (duration.h); min/max: value */
	BL_ARG_LIST,	/* struct bl_arg_list; max: how often, min: 0 */
	BL_ARG_OPERAND, /* const char *, not an option; may be missing */
	BL_ARG_NEEDED,	/* the same, may not be missing */
};

#define BL_ARG_LIST_MAX 64

struct bl_arg_list {
	const char *items[BL_ARG_LIST_MAX];
	size_t count;
};

struct bl_arg {
	const char *name; /* without --; of an operand what it is, for people */
	enum bl_arg_kind kind;
	size_t offset;	  /* of the member in the target struct */
	int64_t min, max; /* checked unless both are 0 */
};

struct bl_args {
	const char *verb; /* "host token" */
	const char *usage;
	const struct bl_arg *rows;
	size_t count;
};

/*
 * Reads argv[1…] into *target. false: the verb ends with *ret_exit: its help
 * was asked for and printed (0), or the usage was wrong (64, @err says how).
 */
bool bl_args_read(const struct bl_args *spec, int argc, char **argv,
		  void *target, int *ret_exit, struct bl_err *err);

#endif
