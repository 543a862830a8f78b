/* SPDX-License-Identifier: Apache-2.0 */
/* belay trust sign: one of several signatures, by one of several people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/trust/change.h"
#include "loader/trust/cmd_common.h"

static const char usage[] =
	"usage: belay trust sign REPO [--keys DIR] [--expect DIGEST] [--drop] [--json]\n"
	"\n"
	"Where m of n keys must sign and are with different people: one of them changes\n"
	"something with --propose (belay bundle sign, belay trust rotate, renew); then it\n"
	"waits in REPO/pending, and no host sees it. Each of the others, on a machine of\n"
	"his own, over a copy of REPO that goes round or is shared, looks at what waits\n"
	"(without --keys) and adds his signature. DIR has his key, and root.json. When\n"
	"enough have signed, who has the keys of snapshot and timestamp at hand, too,\n"
	"publishes it by the same command. What nobody of the role has signed gets no\n"
	"signature.\n"
	"It shows what it is about to sign, and asks if it is on a terminal. Who was told\n"
	"the digest, by whoever proposed it and not by REPO, gives it: then nothing else\n"
	"is signed. It is the SHA-256 of the bytes that are signed (canonical JSON).\n"
	"Exit status: 0 published (or shown), 1 others must sign, too, or it is refused,\n"
	"2 it could not be read.\n"
	"\n"
	"      --keys DIR       folder with your key; again for more of them\n"
	"      --trust DIR      without --keys: root.json, to read the repository with\n"
	"      --expect DIGEST  sign this and nothing else; again if two things wait\n"
	"      --drop           what waits is not wanted any more\n"
	"      --json           print the result as JSON\n"
	"\n"
	"example: belay bundle sign sensor-2.bundle --repo repo --keys alice --propose\n"
	"         belay trust sign repo --trust bob\n"
	"         belay trust sign repo --keys bob --keys online-keys --expect 5f70bf18…\n";

static const enum bl_repo_role roles[] = { BL_REPO_ROOT, BL_REPO_TARGETS };

/* --- what waits ------------------------------------------------------------ */

static json_t *pending_json(const struct bl_repo *repo,
			    const struct bl_repo_pending *p)
{
	const struct bl_meta *was = p->role == BL_REPO_ROOT
					    ? &repo->tuf.t.root
					    : &repo->tuf.t.targets;
	const char *name = bl_repo_role_name(p->role), *id;
	json_t *missing = json_array();
	char now[BL_TIME_ISO_LEN], before[BL_TIME_ISO_LEN];

	for (size_t i = 0; (id = bl_meta_unsigned(&p->meta, &repo->tuf.t.root,
						  name, i, NULL));
	     i++)
		json_array_append_new(missing, json_string(id));
	return json_pack(
		"{s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "role", name,
		"version", (json_int_t)p->meta.version, "digest", p->digest,
		"expires", bl_clock_iso(p->meta.expires_s * 1000, now),
		"expires_before", bl_clock_iso(was->expires_s * 1000, before),
		"signed", (json_int_t)p->signed_by, "threshold",
		(json_int_t)p->threshold, "unsigned", missing, "changes",
		bl_trust_change(p->meta.kind, was->body, p->meta.body));
}

/* *ret, an array, is the caller's. */
static int read_waiting(const struct bl_repo *repo, json_t **ret,
			struct bl_err *err)
{
	bl_autojson json_t *all = json_array();

	for (size_t i = 0; i < BL_ARRAY_SIZE(roles); i++) {
		BL_CLEANUP(bl_repo_pending_free)
		struct bl_repo_pending p = { 0 };
		struct bl_err why = { 0 };
		int r = bl_repo_pending(repo, roles[i], &p, &why);

		if (r == -ENOENT)
			continue;
		if (r < 0 && err)
			*err = why;
		if (r < 0)
			return r;
		if (json_array_append_new(all, pending_json(repo, &p)) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	*ret = BL_TAKE(all);
	return 0;
}

static const char *text(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "-";
}

static long long number(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static void print_names(const char *what, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v)
		printf("  %s %s\n", what, json_string_value(v));
}

static void print_target(const char *what, const char *name, const json_t *t)
{
	printf("%s %s  %s  %lld bytes, serial %lld\n", what, name,
	       text(t, "digest"), number(t, "size_bytes"), number(t, "serial"));
}

static void print_targets(const char *what, const json_t *list)
{
	const json_t *t, *was, *m;
	size_t i, k;

	json_array_foreach (list, i, t) {
		const char *name = text(t, "name");

		print_target(what, name, t);
		was = json_object_get(t, "was");
		if (was)
			print_target("    until now", name, was);
		json_array_foreach (json_object_get(t, "members"), k, m) {
			bool is = json_object_get(m, "is");
			bool before = json_object_get(m, "was");

			printf("    %s: %s%s%s\n", text(m, "path"),
			       is ? text(m, "is") : "nothing",
			       before ? ", until now " : "",
			       before ? text(m, "was") : "");
		}
	}
}

/* Whole: another key that begins alike is found in hours. */
static void print_keys(const char *what, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v)
		printf("  %s %s-%s\n", what, text(v, "role"), text(v, "key"));
}

static void print_changes(const json_t *c)
{
	const json_t *v, *list;
	const char *key;
	size_t i, lines = 0;

	json_object_foreach ((json_t *)(uintptr_t)c, key, list)
		lines += json_array_size(list);
	if (!lines)
		puts("  says the same as before, and for longer");
	print_targets("  adds", json_object_get(c, "adds"));
	print_targets("  replaces", json_object_get(c, "replaces"));
	print_names("removes", json_object_get(c, "removes"));
	print_keys("adds the key", json_object_get(c, "keys_added"));
	print_keys("removes the key", json_object_get(c, "keys_removed"));
	json_array_foreach (json_object_get(c, "thresholds"), i, v)
		printf("  of %s %lld must sign, until now %lld\n",
		       text(v, "role"), number(v, "is"), number(v, "was"));
	print_names("changes", json_object_get(c, "other"));
}

void bl_trust_cmd_print_waiting(const json_t *all)
{
	const json_t *p, *id;
	size_t i, k;

	json_array_foreach (all, i, p) {
		printf("%s version %lld: signed by %lld of %lld that must\n",
		       text(p, "role"), number(p, "version"),
		       number(p, "signed"), number(p, "threshold"));
		printf("  digest %s\n", text(p, "digest"));
		printf("  valid until %s (the one before: %s)\n",
		       text(p, "expires"), text(p, "expires_before"));
		print_changes(json_object_get(p, "changes"));
		json_array_foreach (json_object_get(p, "unsigned"), k, id)
			printf("  not signed by %s-%.8s\n", text(p, "role"),
			       json_string_value(id));
	}
}

int bl_trust_cmd_waiting(const char *dir, const char *anchor, json_t **ret,
			 struct bl_err *err)
{
	BL_CLEANUP(bl_keys_wipe) struct bl_keys none = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	int r = bl_repo_open(dir, anchor, &none, bl_trust_cmd_now(), &repo,
			     err);

	return r ? r : read_waiting(&repo, ret, err);
}

static int show(const struct bl_trust_args *a, const struct bl_repo *repo,
		struct bl_err *err)
{
	bl_autojson json_t *all = NULL;
	int r = read_waiting(repo, &all, err);

	if (r < 0)
		return bl_trust_cmd_exit(r);
	if (a->json)
		return bl_trust_cmd_json(json_pack("{s:O}", "pending", all),
					 err);
	if (!json_array_size(all))
		puts("nothing waits");
	bl_trust_cmd_print_waiting(all);
	return BL_EXIT_OK;
}

int bl_trust_cmd_publish(const struct bl_trust_args *a, struct bl_repo *repo,
			 bool *ret_waits, struct bl_err *err)
{
	int r;

	if (!a->propose)
		return bl_repo_publish(repo, err);
	r = bl_repo_propose(repo, err);
	if (r < 0)
		return r;
	*ret_waits = true;
	return show(a, repo, err) == BL_EXIT_OK ? 0 : -EIO;
}

/* --- signing --------------------------------------------------------------- */

/* A terminal's answer; anything but yes is no. Where there is none, who signs
 * has said so by calling. */
static bool confirmed(void)
{
	char line[16] = "";

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return true;
	printf("sign this? [y/N] ");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) &&
	       (strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0);
}

/* What was shown is what is signed, whoever writes there meanwhile. */
static size_t digests_of(const json_t *all,
			 const char *ret[static BL_REPO_WAITING_MAX])
{
	const json_t *p;
	size_t i;

	json_array_foreach (all, i, p)
		ret[i] = text(p, "digest");
	return json_array_size(all);
}

static int sign_json(const json_t *all, const struct bl_repo *repo,
		     bool published, struct bl_err *err)
{
	int code = bl_trust_cmd_json(
		json_pack("{s:b, s:O, s:I}", "published", published, "signed",
			  all, "targets",
			  (json_int_t)repo->tuf.t.targets.version),
		err);

	return code || published ? code : BL_EXIT_REJECTED;
}

static int sign(const struct bl_trust_args *a, struct bl_repo *repo,
		struct bl_err *err)
{
	const char *shown[BL_REPO_WAITING_MAX];
	bl_autojson json_t *all = NULL;
	size_t count;
	int r = read_waiting(repo, &all, err);

	if (r < 0)
		return bl_trust_cmd_exit(r);
	count = digests_of(all, shown);
	/* Not to be looked for again: what comes meanwhile nobody has seen. */
	if (!a->expect_count && !count)
		return bl_trust_cmd_exit(bl_err_set(
			err, -ENOENT,
			"%s: nothing waits there, and nothing was signed",
			repo->dir));
	if (!a->expect_count && !a->json) {
		bl_trust_cmd_print_waiting(all);
		if (!confirmed()) {
			puts("nothing was signed");
			return BL_EXIT_REJECTED;
		}
		fflush(stdout);
	}
	r = a->expect_count
		    ? bl_repo_cosign(repo, a->expect, a->expect_count, err)
		    : bl_repo_cosign(repo, shown, count, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	if (a->json)
		return sign_json(all, repo, r, err);
	if (!r)
		return BL_EXIT_REJECTED;
	puts("enough have signed: it is published");
	return BL_EXIT_OK;
}

int bl_trust_cmd_sign(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "keys", required_argument, NULL, BL_OPT_KEYS },
		{ "trust", required_argument, NULL, BL_OPT_TRUST },
		{ "expect", required_argument, NULL, BL_OPT_EXPECT },
		{ "drop", no_argument, NULL, BL_OPT_DROP },
		{ "json", no_argument, NULL, BL_OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	struct bl_trust_args a = { 0 };
	int r = bl_trust_cmd_args("trust sign", usage, options, argc, argv, &a,
				  err);

	if (r || a.help)
		return r;
	if (a.words != 1)
		return bl_cli_usage(err, "trust sign",
				    "one repository was expected, not %d",
				    a.words);
	if (!a.keys_count == !a.trust)
		return bl_cli_usage(
			err, "trust sign",
			"give --keys DIR to sign, or --trust DIR to look");
	if (a.expect_count && (a.trust || a.drop))
		return bl_cli_usage(err, "trust sign",
				    "--expect is of what is to be signed");
	r = a.trust ? bl_repo_open(a.word[0], a.trust, &ring,
				   bl_trust_cmd_now(), &repo, err)
		    : bl_trust_cmd_open(&a, a.word[0], &ring, &repo, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	if (a.drop)
		return bl_repo_drop(&repo, err) < 0 ? BL_EXIT_UNDECIDED
						    : BL_EXIT_OK;
	if (a.trust)
		return show(&a, &repo, err);
	return sign(&a, &repo, err);
}
