/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/cmd_common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"

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
	case BL_OPT_CA:
		a->ca = value;
		return true;
	case BL_OPT_TLS_DIR:
		a->tls_dir = value;
		return true;
	case BL_OPT_ROLE:
		a->role = value;
		return true;
	case BL_OPT_HOST:
		a->host = value;
		return true;
	case BL_OPT_AS:
		a->name = value;
		return true;
	case BL_OPT_EXPECT:
		if (a->expect_count == BL_REPO_WAITING_MAX)
			return false;
		a->expect[a->expect_count++] = value;
		return bl_digest_valid(value);
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
	if (c == BL_OPT_EXPECT && bl_digest_valid(value))
		return bl_cli_usage(err, verb, "--expect at most %d times",
				    BL_REPO_WAITING_MAX);
	if (c == BL_OPT_DIGEST || c == BL_OPT_EXPECT)
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
		else if (c == BL_OPT_PLAINTEXT)
			ret->plaintext = true;
		else if (c == BL_OPT_PROPOSE)
			ret->propose = true;
		else if (c == BL_OPT_DROP)
			ret->drop = true;
		else if (c == BL_OPT_NO_FLEET)
			ret->shape.no_fleet = true;
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

void bl_trust_source_close(struct bl_trust_source *s)
{
	bl_mirror_close(s->mirror);
	free(s->ca);
	free(s->cert);
	free(s->key);
	*s = (struct bl_trust_source){ 0 };
}

/* Who is there shows his certificate. */
static int find_identity(const char *dir, struct bl_trust_source *s,
			 struct bl_err *err)
{
	static const char *const who[] = { "operator", "host" };
	bool found = false;

	s->ca = bl_path("%s/ca.pem", dir);
	for (size_t i = 0; s->ca && !found && i < BL_ARRAY_SIZE(who); i++) {
		free(s->cert);
		free(s->key);
		s->cert = bl_path("%s/%s.pem", dir, who[i]);
		s->key = bl_path("%s/%s.key", dir, who[i]);
		if (!s->cert || !s->key)
			return bl_err_set(err, -ENOMEM, "out of memory");
		found = access(s->key, R_OK) == 0;
	}
	if (!s->ca)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return found ? 0
		     : bl_err_set(
			       err, -ENOENT,
			       "%s: neither operator.key nor host.key can be read there",
			       dir);
}

int bl_trust_source_open(const struct bl_trust_args *a, const char *verb,
			 struct bl_trust_source *ret, struct bl_err *err)
{
	struct bl_mirror_opts opts = { .url = a->repo,
				       .plaintext = a->plaintext,
				       .tls.ca = a->ca };
	int r = 0;

	if (!a->repo || !bl_mirror_is_url(a->repo)) {
		if (a->ca || a->tls_dir || a->plaintext)
			return bl_cli_usage(
				err, verb,
				"--ca, --tls-dir and --plaintext go with --repo URL");
		ret->fetcher =
			(struct bl_tuf_fetcher){ bl_tuf_from_dir,
						 (char *)(uintptr_t)a->repo };
		return 0;
	}
	bl_cli_catch_signals();
	if (a->tls_dir)
		r = find_identity(a->tls_dir, ret, err);
	if (a->tls_dir)
		opts.tls = (struct bl_fetch_tls){
			.ca = a->ca ? a->ca : ret->ca,
			.cert = ret->cert,
			.key = ret->key,
		};
	if (!r)
		r = bl_mirror_open(&opts, &ret->mirror, err);
	ret->fetcher = (struct bl_tuf_fetcher){ bl_mirror_fetch, ret->mirror };
	if (r == -EINVAL || r == -EPERM)
		return BL_EXIT_USAGE;
	return r < 0 ? BL_EXIT_UNDECIDED : 0;
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
