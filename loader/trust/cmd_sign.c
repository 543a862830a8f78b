/* SPDX-License-Identifier: Apache-2.0 */
/* belay bundle sign and verify: bundles and the keys of those who release. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/term.h"
#include "loader/bundle/bundle.h"
#include "loader/oci/source.h"
#include "loader/trust/cmd_common.h"
#include "loader/trust/fleet.h"
#include "loader/verbs.h"

static const char usage_sign[] =
	"usage: belay bundle sign FILE… --repo REPO --keys DIR [--json]\n"
	"\n"
	"Checks that each FILE is an intact bundle, puts it into the repository under\n"
	"its own name (of an oci-archive web.oci the bundle in it, as web.bundle) and\n"
	"signs the list anew: targets with the release keys, snapshot and timestamp with\n"
	"theirs. What is in REPO is verified before, so that nobody who can write there\n"
	"gets a signature.\n"
	"\n"
	"      --repo REPO  the repository (belay trust init)\n"
	"      --keys DIR   folder with keys; again for more of them\n"
	"      --withdraw   the other way: FILEs are names that are listed no longer\n"
	"      --propose    sign with these keys, and let others sign (belay trust sign)\n"
	"      --json       print the result as JSON\n"
	"\n"
	"example: belay bundle sign sensor-1.0.bundle --repo repo --keys keys\n";

static const char usage_verify[] =
	"usage: belay bundle verify FILE [--digest HEX] [--trust DIR] [--json]\n"
	"\n"
	"Checks that FILE is an intact bundle, and the one with that digest, or one\n"
	"that the keys which DIR trusts have signed.\n"
	"Exit status: 0 it is, 1 it is not, 2 it could not be read.\n"
	"\n"
	"      --digest HEX   the digest it must have (64 hexadecimal digits)\n"
	"      --trust DIR    root.json, and what was verified from it (belay trust)\n"
	"      --repo REPO    ask this repository first (a folder or an https:// URL);\n"
	"                     else what DIR has counts\n" BL_TRUST_SOURCE_USAGE
	"      --as NAME      what it is listed as; unless said FILE's own name, of\n"
	"                     web.oci web.bundle\n"
	"      --json         print the result as JSON\n"
	"\n"
	"example: belay bundle verify sensor-1.0.bundle --trust trust --repo repo\n"
	"         belay bundle verify sensor-1.0.oci --trust trust\n";

/*
 * What a bundle in the file @path is listed as: the file's own name; of an
 * oci-archive the name that the bundle in it would have, since those are the
 * bytes that are signed, and that hosts fetch.
 */
static char *target_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = strlen(name), oci = strlen(".oci");

	if (len <= oci || strcmp(name + len - oci, ".oci") != 0)
		return strdup(name);
	return bl_path("%.*s.bundle", (int)(len - oci), name);
}

/* --- sign ------------------------------------------------------------------ */

static int add_one(struct bl_repo *repo, const char *path, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	bl_autofree char *name = target_name(path);
	int r = name ? bl_source_bundle(path, NULL, &b, err)
		     : bl_err_set(err, -ENOMEM, "out of memory");

	return r ? r : bl_repo_add(repo, name, b.raw.data, b.raw.len, err);
}

static int report_signed(const struct bl_trust_args *a,
			 const struct bl_repo *repo, struct bl_err *err)
{
	bl_autojson json_t *list = json_array();

	for (int i = 0; i < a->words; i++) {
		bl_autofree char *name = target_name(a->word[i]);
		struct bl_meta_target t = { 0 };

		if (!name || !bl_meta_target(&repo->tuf.t.targets, name, &t))
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:I, s:I}", "name", t.path,
					"digest", t.sha256, "size_bytes",
					(json_int_t)t.length, "serial",
					(json_int_t)bl_fleet_serial(&t)));
		if (!a->json)
			printf("%s  %s  serial %lld\n", t.sha256, t.path,
			       (long long)bl_fleet_serial(&t));
	}
	if (a->json)
		return bl_trust_cmd_json(
			json_pack("{s:O, s:I}", "targets", list, "version",
				  (json_int_t)repo->tuf.t.targets.version),
			err);
	printf("version %lld of the release's list is signed\n",
	       (long long)repo->tuf.t.targets.version);
	return BL_EXIT_OK;
}

int bl_cmd_bundle_sign(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "repo", required_argument, NULL, BL_OPT_REPO },
		{ "keys", required_argument, NULL, BL_OPT_KEYS },
		{ "withdraw", no_argument, NULL, BL_OPT_WITHDRAW },
		{ "propose", no_argument, NULL, BL_OPT_PROPOSE },
		{ "json", no_argument, NULL, BL_OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	struct bl_trust_args a = { 0 };
	bool waits = false;
	int r = bl_trust_cmd_args("bundle sign", usage_sign, options, argc,
				  argv, &a, err);

	bl_cli_guard_secrets();
	if (r || a.help)
		return r;
	if (!a.words)
		return bl_cli_usage(err, "bundle sign",
				    "which file? none was given");
	if (!a.repo || !a.keys_count)
		return bl_cli_usage(err, "bundle sign",
				    "give --repo REPO and --keys DIR");
	r = bl_trust_cmd_open(&a, a.repo, &ring, &repo, err);
	for (int i = 0; !r && i < a.words; i++)
		r = a.withdraw ? bl_repo_withdraw(&repo, a.word[i], err)
			       : add_one(&repo, a.word[i], err);
	if (!r)
		r = bl_trust_cmd_publish(&a, &repo, &waits, err);
	if (r < 0 || waits)
		return r < 0 ? bl_trust_cmd_exit(r) : BL_EXIT_OK;
	return report_signed(&a, &repo, err);
}

/* --- verify ---------------------------------------------------------------- */

struct vouched {
	const char *role;
	struct bl_meta_target target;
};

static int check_trusted(const struct bl_trust_args *a,
			 const struct bl_tuf_fetcher *f, struct bl_tuf *tuf,
			 const struct bl_bundle *b, struct vouched *ret,
			 struct bl_err *err)
{
	bl_autofree char *own = target_name(a->word[0]);
	const char *name = a->name ? a->name : own;
	int r = name ? bl_tuf_open(a->trust, tuf, err)
		     : bl_err_set(err, -ENOMEM, "out of memory");

	if (!r)
		r = a->repo ? bl_tuf_refresh(tuf, f, bl_trust_cmd_now(), err)
			    : bl_tuf_offline(tuf, bl_trust_cmd_now(), err);
	if (!r)
		r = bl_tuf_find(tuf, a->repo ? f : NULL, name, &ret->target,
				&ret->role, err);
	if (!r)
		r = bl_trusted_package(&ret->target, b->raw.data, b->raw.len,
				       err);
	if (r < 0 && bl_trust_fault_words(r) && !err->hint[0])
		bl_err_hint(err, "%s", bl_trust_fault_words(r));
	return r;
}

static int report_verified(const struct bl_trust_args *a,
			   const struct bl_bundle *b, const struct vouched *v,
			   struct bl_err *err)
{
	bool colour = bl_term_colour(stdout);
	const char *file = a->word[0];
	json_t *json;

	if (!a->json) {
		printf("%s  %s %s  %s\n%s%s%s\n", b->digest, b->manifest.name,
		       b->manifest.version, file,
		       bl_style(colour, BL_STYLE_GOOD),
		       a->digest ? "intact, and the digest is right" : "intact",
		       bl_style_end(colour));
		if (v->role)
			printf("signed by the role '%s' as %s\n", v->role,
			       v->target.path);
		return BL_EXIT_OK;
	}
	json = json_pack("{s:s, s:s, s:s, s:s, s:I}", "file", file, "name",
			 b->manifest.name, "version", b->manifest.version,
			 "digest", b->digest, "size_bytes",
			 (json_int_t)b->raw.len);
	if (v->role)
		json_object_set_new(
			json, "signed",
			json_pack("{s:s, s:s, s:I}", "role", v->role, "target",
				  v->target.path, "serial",
				  (json_int_t)bl_fleet_serial(&v->target)));
	return bl_trust_cmd_json(json, err);
}

int bl_cmd_bundle_verify(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "digest", required_argument, NULL, BL_OPT_DIGEST },
		{ "trust", required_argument, NULL, BL_OPT_TRUST },
		BL_TRUST_SOURCE_OPTIONS,
		{ "as", required_argument, NULL, BL_OPT_AS },
		{ "json", no_argument, NULL, BL_OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	struct bl_trust_args a = { 0 };
	BL_CLEANUP(bl_trust_source_close) struct bl_trust_source src = { 0 };
	struct vouched v = { .role = NULL };
	int r = bl_trust_cmd_args("bundle verify", usage_verify, options, argc,
				  argv, &a, err);

	if (r || a.help)
		return r;
	if (a.words != 1)
		return bl_cli_usage(err, "bundle verify",
				    a.words ? "one file was expected, not %d"
					    : "which file? none was given",
				    a.words);
	if ((a.repo || a.name) && !a.trust)
		return bl_cli_usage(err, "bundle verify",
				    "--repo and --as go with --trust DIR");
	r = bl_trust_source_open(&a, "bundle verify", &src, err);
	if (r)
		return r;
	r = bl_source_bundle(a.word[0], NULL, &b, err);
	if (!r && a.digest && strcmp(a.digest, b.digest) != 0)
		r = bl_err_set(
			err, -EBADMSG,
			"%s is an intact bundle, but another one: its digest is %s",
			a.word[0], b.digest);
	if (!r && a.trust)
		r = check_trusted(&a, &src.fetcher, &tuf, &b, &v, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	return report_verified(&a, &b, &v, err);
}
