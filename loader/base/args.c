/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/args.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cli.h"
#include "loader/base/duration.h"

/* What getopt gives for row N; -h, ? and : are below. */
#define ROW(n) (256 + (n))

static bool is_operand(const struct bl_arg *a)
{
	return a->kind == BL_ARG_OPERAND || a->kind == BL_ARG_NEEDED;
}

static bool within(const struct bl_arg *a, int64_t value)
{
	return (!a->min && !a->max) || (value >= a->min && value <= a->max);
}

static int read_text(const char *verb, const struct bl_arg *a, const char *text,
		     void *at, struct bl_err *err)
{
	if (!within(a, (int64_t)strlen(text)))
		return bl_cli_usage(err, verb,
				    "--%s wants %" PRId64 " to %" PRId64
				    " bytes, not %zu",
				    a->name, a->min, a->max, strlen(text));
	*(const char **)at = text;
	return 0;
}

static int read_number(const char *verb, const struct bl_arg *a,
		       const char *text, void *at, struct bl_err *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !within(a, n))
		return bl_cli_usage(err, verb,
				    "--%s wants a number from %" PRId64
				    " to %" PRId64 ", not '%s'",
				    a->name, a->min, a->max, text);
	*(long *)at = n;
	return 0;
}

static int read_time(const char *verb, const struct bl_arg *a, const char *text,
		     void *at, struct bl_err *err)
{
	char least[BL_DURATION_LEN], most[BL_DURATION_LEN];
	uint64_t ms = 0;
	int r = bl_duration_parse(text, (uint64_t)a->max, &ms);

	if (r == -EINVAL)
		return bl_cli_usage(err, verb,
				    "--%s wants " BL_DURATION_FORM ", not '%s'",
				    a->name, text);
	if (r < 0 || ms < (uint64_t)a->min)
		return bl_cli_usage(
			err, verb, "--%s is from %s to %s, not '%s'", a->name,
			bl_duration_text((uint64_t)(a->min ? a->min : 1),
					 least),
			bl_duration_text((uint64_t)a->max, most), text);
	*(uint64_t *)at = ms;
	return 0;
}

static int read_item(const char *verb, const struct bl_arg *a, const char *text,
		     void *at, struct bl_err *err)
{
	struct bl_arg_list *list = at;

	if (list->count == (size_t)a->max)
		return bl_cli_usage(err, verb, "at most %" PRId64 " --%s",
				    a->max, a->name);
	list->items[list->count++] = text;
	return 0;
}

static int read_row(const char *verb, const struct bl_arg *a, const char *text,
		    void *target, struct bl_err *err)
{
	void *at = (char *)target + a->offset;

	switch (a->kind) {
	case BL_ARG_FLAG:
		*(bool *)at = true;
		return 0;
	case BL_ARG_TEXT:
		return read_text(verb, a, text, at, err);
	case BL_ARG_NUMBER:
		return read_number(verb, a, text, at, err);
	case BL_ARG_TIME:
		return read_time(verb, a, text, at, err);
	case BL_ARG_LIST:
		return read_item(verb, a, text, at, err);
	case BL_ARG_OPERAND:
	case BL_ARG_NEEDED:
		*(const char **)at = text;
		return 0;
	}
	return 0;
}

/* getopt has moved the operands to the end. */
static int read_operands(const struct bl_args *spec, int argc, char **argv,
			 void *target, struct bl_err *err)
{
	size_t i;

	for (i = 0; i < spec->count; i++) {
		const struct bl_arg *a = &spec->rows[i];

		if (!is_operand(a))
			continue;
		if (optind < argc)
			read_row(spec->verb, a, argv[optind++], target, err);
		else if (a->kind == BL_ARG_NEEDED)
			return bl_cli_usage(err, spec->verb, "%s is missing",
					    a->name);
	}
	return optind < argc ? bl_cli_usage(err, spec->verb,
					    "'%s' is more than expected",
					    argv[optind])
			     : 0;
}

static void make_options(const struct bl_args *spec,
			 struct option ret[static BL_ARGS_MAX + 2])
{
	size_t i, n = 0;

	assert(spec->count <= BL_ARGS_MAX);
	for (i = 0; i < spec->count; i++) {
		const struct bl_arg *a = &spec->rows[i];

		if (is_operand(a))
			continue;
		assert(a->kind != BL_ARG_LIST || a->max <= BL_ARG_LIST_MAX);
		assert(a->kind != BL_ARG_TIME || a->max > 0);
		ret[n++] = (struct option){
			.name = a->name,
			.has_arg = a->kind == BL_ARG_FLAG ? no_argument
							  : required_argument,
			.val = ROW((int)i),
		};
	}
	ret[n] = (struct option){ "help", no_argument, NULL, 'h' };
}

bool bl_args_read(const struct bl_args *spec, int argc, char **argv,
		  void *target, int *ret_exit, struct bl_err *err)
{
	struct option options[BL_ARGS_MAX + 2] = { 0 };
	int opt;

	make_options(spec, options);
	optind = 0; /* glibc: from the beginning, and forget the last call */
	opterr = 0;
	*ret_exit = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(spec->usage, stdout);
			*ret_exit = BL_EXIT_OK;
			return false;
		}
		*ret_exit = opt < ROW(0)
				    ? bl_cli_usage(err, spec->verb, "%s %s",
						   argv[optind - 1],
						   opt == ':' ? "needs a value"
							      : "is unknown")
				    : read_row(spec->verb,
					       &spec->rows[opt - ROW(0)],
					       optarg, target, err);
		if (*ret_exit)
			return false;
	}
	*ret_exit = read_operands(spec, argc, argv, target, err);
	return *ret_exit == 0;
}
