/* SPDX-License-Identifier: Apache-2.0 */
/* belay trust sign: one of several signatures, by one of several people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/trust/cmd_common.h"

static const char usage[] =
	"usage: belay trust sign REPO [--keys DIR] [--drop] [--json]\n"
	"\n"
	"Where m of n keys must sign and are with different people: one of them changes\n"
	"something with --propose (belay bundle sign, belay trust rotate, renew); then it\n"
	"waits in REPO/pending, and no host sees it. Each of the others, on a machine of\n"
	"his own, over a copy of REPO that goes round or is shared, looks at what waits\n"
	"(without --keys) and adds his signature. DIR has his key, and root.json. When\n"
	"enough have signed, who has the keys of snapshot and timestamp at hand, too,\n"
	"publishes it by the same command. What nobody of the role has signed gets no\n"
	"signature.\n"
	"Exit status: 0 published (or shown), 1 others must sign, too, or it is refused,\n"
	"2 it could not be read.\n"
	"\n"
	"      --keys DIR  folder with your key; again for more of them\n"
	"      --trust DIR without --keys: root.json, to read the repository with\n"
	"      --drop      what waits is not wanted any more\n"
	"      --json      print the result as JSON\n"
	"\n"
	"example: belay bundle sign sensor-2.bundle --repo repo --keys alice --propose\n"
	"         belay trust sign repo --trust bob\n"
	"         belay trust sign repo --keys bob --keys online-keys\n";

static const enum bl_repo_role roles[] = { BL_REPO_ROOT, BL_REPO_TARGETS };

/* Names that one list has and the other has not, or with other bytes. */
static json_t *more(const json_t *list, const json_t *than)
{
	json_t *names = json_array(), *v;
	const char *name;

	json_object_foreach ((json_t *)(uintptr_t)list, name, v)
		if (!json_equal(v, json_object_get(than, name)))
			json_array_append_new(names, json_string(name));
	return names;
}

static json_t *pending_json(const struct bl_repo *repo,
			    const struct bl_repo_pending *p)
{
	const char *name = bl_repo_role_name(p->role), *id;
	const json_t *was =
		json_object_get(repo->tuf.t.targets.body, "targets");
	const json_t *is = json_object_get(p->meta.body, "targets");
	json_t *missing = json_array(), *all;

	for (size_t i = 0; (id = bl_meta_unsigned(&p->meta, &repo->tuf.t.root,
						  name, i, NULL));
	     i++)
		json_array_append_new(missing, json_string(id));
	all = json_pack("{s:s, s:I, s:I, s:I, s:o}", "role", name, "version",
			(json_int_t)p->meta.version, "signed",
			(json_int_t)p->signed_by, "threshold",
			(json_int_t)p->threshold, "unsigned", missing);
	if (p->role != BL_REPO_TARGETS)
		return all;
	json_object_set_new(all, "lists", more(is, was));
	json_object_set_new(all, "no_longer", more(was, is));
	return all;
}

static void print_names(const char *what, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		printf("  %s %s\n", what, json_string_value(name));
}

static void print_pending(const json_t *p)
{
	printf("%s version %lld: signed by %lld of %lld that must\n",
	       json_string_value(json_object_get(p, "role")),
	       (long long)json_integer_value(json_object_get(p, "version")),
	       (long long)json_integer_value(json_object_get(p, "signed")),
	       (long long)json_integer_value(json_object_get(p, "threshold")));
	print_names("lists", json_object_get(p, "lists"));
	print_names("no longer as it was:", json_object_get(p, "no_longer"));
	print_names("not signed by key", json_object_get(p, "unsigned"));
}

static int show(const struct bl_trust_args *a, const struct bl_repo *repo,
		struct bl_err *err)
{
	bl_autojson json_t *all = json_array();
	const json_t *one;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(roles); i++) {
		BL_CLEANUP(bl_repo_pending_free)
		struct bl_repo_pending p = { 0 };
		struct bl_err why = { 0 };
		int r = bl_repo_pending(repo, roles[i], &p, &why);

		if (r == -ENOENT)
			continue;
		if (r < 0) {
			*err = why;
			return bl_trust_cmd_exit(r);
		}
		json_array_append_new(all, pending_json(repo, &p));
	}
	if (a->json)
		return bl_trust_cmd_json(json_pack("{s:O}", "pending", all),
					 err);
	if (!json_array_size(all))
		puts("nothing waits");
	json_array_foreach (all, i, one)
		print_pending(one);
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

int bl_trust_cmd_sign(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "keys", required_argument, NULL, BL_OPT_KEYS },
		{ "trust", required_argument, NULL, BL_OPT_TRUST },
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
	r = bl_repo_cosign(&repo, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	if (!r)
		return BL_EXIT_REJECTED;
	if (a.json)
		return bl_trust_cmd_json(
			json_pack("{s:b, s:I}", "published", 1, "targets",
				  (json_int_t)repo.tuf.t.targets.version),
			err);
	puts("enough have signed: it is published");
	return BL_EXIT_OK;
}
