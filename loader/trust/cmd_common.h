/* SPDX-License-Identifier: Apache-2.0 */
/* What belay trust, bundle sign and bundle verify have in common: options, keys,
 * where a repository is, results. Of cmd_*.c only. */
#ifndef BL_TRUST_CMD_COMMON_H
#define BL_TRUST_CMD_COMMON_H

#include <getopt.h>

#include "loader/base/cli.h"
#include "loader/base/json.h"
#include "loader/trust/mirror.h"
#include "loader/trust/repo.h"

#define BL_TRUST_CMD_DIRS_MAX 8

struct bl_trust_args {
	const char *keys[BL_TRUST_CMD_DIRS_MAX]; /* the first one: the anchor */
	size_t keys_count;
	const char *expect[BL_REPO_WAITING_MAX]; /* digests */
	size_t expect_count;
	const char *repo, *trust, *role, *name, *digest, *host;
	const char *ca, *tls_dir;
	struct bl_repo_shape shape;
	char **word; /* what is no option */
	int words;
	bool json, help, withdraw, plaintext, propose, drop;
};

enum bl_trust_opt {
	BL_OPT_KEYS = 256,
	BL_OPT_REPO,
	BL_OPT_TRUST,
	BL_OPT_ROLE,
	BL_OPT_AS,
	BL_OPT_DIGEST,
	BL_OPT_ROOT_KEYS,
	BL_OPT_ROOT_THRESHOLD,
	BL_OPT_RELEASE_KEYS,
	BL_OPT_RELEASE_THRESHOLD,
	BL_OPT_WITHDRAW,
	BL_OPT_CA,
	BL_OPT_TLS_DIR,
	BL_OPT_PLAINTEXT,
	BL_OPT_PROPOSE,
	BL_OPT_DROP,
	BL_OPT_NO_FLEET,
	BL_OPT_EXPECT,
	BL_OPT_HOST,
	BL_OPT_JSON,
};

/* 0, or the exit code with the error set. With --help it prints @usage. */
int bl_trust_cmd_args(const char *verb, const char *usage,
		      const struct option *options, int argc, char **argv,
		      struct bl_trust_args *ret, struct bl_err *err);

/* Loads the keys of every --keys, and the repository from the first's root. */
int bl_trust_cmd_open(const struct bl_trust_args *a, const char *repo,
		      struct bl_keys *ring, struct bl_repo *ret,
		      struct bl_err *err);

/* The repository of --repo, a folder or a URL. */
struct bl_trust_source {
	struct bl_tuf_fetcher fetcher;
	struct bl_mirror *mirror; /* NULL: a folder */
	char *ca, *cert, *key;
};
void bl_trust_source_close(struct bl_trust_source *s);
/* *ret zero-initialised; a->repo is borrowed. 0, or the exit code. */
int bl_trust_source_open(const struct bl_trust_args *a, const char *verb,
			 struct bl_trust_source *ret, struct bl_err *err);

/* Rows of a verb that has --repo, and its help about them. */
#define BL_TRUST_SOURCE_OPTIONS                                         \
	{ "repo", required_argument, NULL, BL_OPT_REPO },               \
		{ "ca", required_argument, NULL, BL_OPT_CA },           \
		{ "tls-dir", required_argument, NULL, BL_OPT_TLS_DIR }, \
	{                                                               \
		"plaintext", no_argument, NULL, BL_OPT_PLAINTEXT        \
	}
#define BL_TRUST_SOURCE_USAGE                                                           \
	"      --ca FILE      authority of an https:// REPO, instead of the system's\n" \
	"      --tls-dir DIR  of a controller as REPO: ca.pem, and operator.pem or\n"   \
	"                     host.pem with its key\n"                                  \
	"      --plaintext    allow http:// to another machine\n"

/* What was not trusted is rejected; what could not be done is undecided. */
int bl_trust_cmd_exit(int r);

/* Prints and drops it. */
int bl_trust_cmd_json(json_t *v, struct bl_err *err);

int64_t bl_trust_cmd_now(void);

/* Publishes what was changed; or, with --propose, lets it wait for others, and
 * says so (*ret_waits). */
int bl_trust_cmd_publish(const struct bl_trust_args *a, struct bl_repo *repo,
			 bool *ret_waits, struct bl_err *err);

/* What waits for signatures in the folder @repo, read as @anchor trusts it: an array
 * for JSON, empty if nothing does. And the same for people. */
int bl_trust_cmd_waiting(const char *repo, const char *anchor, json_t **ret,
			 struct bl_err *err);
void bl_trust_cmd_print_waiting(const json_t *waiting);

/* belay trust sign: of cmd_trust.c. */
int bl_trust_cmd_sign(int argc, char **argv, struct bl_err *err);

#endif
