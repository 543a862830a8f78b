/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/cmd_common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

int64_t bl_trust_cmd_now(void)
{
	return bl_clock_wall_ms() / 1000;
}

static bool number(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end || n > BL_META_ROLE_KEYS_MAX)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* Options with a value; false: it is none that can be. */
static bool take(int c, const char *value, struct bl_trust_args *a)
{
	switch (c) {
	case BL_OPT_KEYS:
		if (a->keys_count == BL_TRUST_CMD_DIRS_MAX)
			return false;
		a->keys[a->keys_count++] = value;
		return true;
	case BL_OPT_REPO:
		a->repo = value;
		return true;
	case BL_OPT_TRUST:
		a->trust = value;
		return true;
	case BL_OPT_ROLE:
		a->role = value;
		return true;
	case BL_OPT_AS:
		a->name = value;
		return true;
	case BL_OPT_DIGEST:
		a->digest = value;
		return bl_digest_valid(value);
	case BL_OPT_ROOT_KEYS:
		return number(value, &a->shape.root_keys);
	case BL_OPT_ROOT_THRESHOLD:
		return number(value, &a->shape.root_threshold);
	case BL_OPT_RELEASE_KEYS:
		return number(value, &a->shape.release_keys);
	case BL_OPT_RELEASE_THRESHOLD:
		return number(value, &a->shape.release_threshold);
	default:
		return false;
	}
}

static const char *long_name(const struct option *options, int c)
{
	while (options->name && options->val != c)
		options++;
	return options->name ? options->name : "?";
}

/* What a wrong value should have been. */
static int bad_value(const char *verb, const struct option *options, int c,
		     const char *value, struct bl_err *err)
{
	if (c == BL_OPT_DIGEST)
		return bl_cli_usage(
			err, verb,
			"'%s' is not a digest (64 digits of 0-9 and a-f)",
			value);
	if (c == BL_OPT_KEYS)
		return bl_cli_usage(err, verb, "--keys at most %d times",
				    BL_TRUST_CMD_DIRS_MAX);
	return bl_cli_usage(err, verb, "--%s takes a number from 1 to %d",
			    long_name(options, c), BL_META_ROLE_KEYS_MAX);
}

int bl_trust_cmd_args(const char *verb, const char *usage,
		      const struct option *options, int argc, char **argv,
		      struct bl_trust_args *ret, struct bl_err *err)
{
	int c;

	optind = 0; /* glibc: start anew, main's argv was scanned before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			ret->help = true;
			return 0;
		}
		if (c == ':')
			return bl_cli_usage(err, verb,
					    "option '%s' needs a value",
					    argv[optind - 1]);
		if (c == '?')
			return bl_cli_usage(err, verb, "unknown option '%s'",
					    argv[optind - 1]);
		if (c == BL_OPT_JSON)
			ret->json = true;
		else if (c == BL_OPT_WITHDRAW)
			ret->withdraw = true;
		else if (!take(c, optarg, ret))
			return bad_value(verb, options, c, optarg, err);
	}
	ret->word = argv + optind;
	ret->words = argc - optind;
	return 0;
}

int bl_trust_cmd_open(const struct bl_trust_args *a, const char *repo,
		      struct bl_keys *ring, struct bl_repo *ret,
		      struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < a->keys_count; i++)
		r = bl_keys_load(a->keys[i], ring, err);
	return r ? r
		 : bl_repo_open(repo, a->keys[0], ring, bl_trust_cmd_now(), ret,
				err);
}

int bl_trust_cmd_exit(int r)
{
	return bl_trust_fault_name(r) ? BL_EXIT_REJECTED : BL_EXIT_UNDECIDED;
}

int bl_trust_cmd_json(json_t *v, struct bl_err *err)
{
	bl_autofree char *text = v ? bl_json_dump(v) : NULL;

	if (!text) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	fputs(text, stdout);
	return BL_EXIT_OK;
}
