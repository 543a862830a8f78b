/* SPDX-License-Identifier: Apache-2.0 */
/* belay trust: who may sign what hosts run. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/term.h"
#include "loader/trust/cmd_common.h"
#include "loader/trust/fleet.h"
#include "loader/trust/fresh.h"
#include "loader/verbs.h"

static const char usage[] =
	"belay trust: who may sign what hosts run (a repository by TUF)\n"
	"\n"
	"usage: belay trust VERB [options]   (belay trust VERB --help for each)\n"
	"example: belay trust init repo --keys keys --root-keys 3 --root-threshold 2\n"
	"\n";

static const char usage_init[] =
	"usage: belay trust init REPO --keys DIR [options]\n"
	"\n"
	"Makes a repository that lists nothing yet, and the keys that speak in it:\n"
	"one file each in DIR, readable by you only. Move those of the roles root and\n"
	"targets (the release keys) to where no network is; the others sign often,\n"
	"online. Hosts get REPO/metadata/1.root.json, once, by a way that you trust.\n"
	"\n"
	"      --keys DIR             keys are made here\n"
	"      --root-keys N          keys of the root; 3 unless said\n"
	"      --root-threshold M     how many of them must sign; 2 unless said\n"
	"      --release-keys N       release keys; 1 unless said\n"
	"      --release-threshold M  how many of them must sign; 1 unless said\n"
	"      --no-fleet             no key of the fleet: what is released is signed,\n"
	"                             orders to hosts are by the controller's TLS alone\n"
	"      --json                 print the result as JSON\n"
	"\n"
	"example: belay trust init repo --keys keys\n";

static const char usage_rotate[] =
	"usage: belay trust rotate REPO --keys DIR [--role ROLE] [--json]\n"
	"\n"
	"Replaces the keys of a role with as many new ones, made in the first DIR. The\n"
	"root says so to hosts (targets do for the fleet's): enough root keys are\n"
	"needed, old and new. Hosts climb from root to root, so none may be deleted.\n"
	"\n"
	"      --keys DIR   folder with keys; again for more of them\n"
	"      --role ROLE  root (unless said), targets, snapshot, timestamp, fleet\n"
	"      --propose    sign with these keys, and let others sign (belay trust sign)\n"
	"      --json       print the result as JSON\n"
	"\n"
	"example: belay trust rotate repo --keys keys --keys /media/offline --role targets\n";

static const char usage_renew[] =
	"usage: belay trust renew REPO --keys DIR [--role ROLE] [--json]\n"
	"\n"
	"Signs the same again with a later expiry, before hosts take its age for an\n"
	"attack: the timestamp (every 2 days), or another role and what states it:\n"
	"snapshot (14), fleet (30), targets (90), root (365).\n"
	"\n"
	"      --keys DIR   folder with keys; again for more of them\n"
	"      --role ROLE  timestamp unless said\n"
	"      --propose    sign with these keys, and let others sign (belay trust sign)\n"
	"      --json       print the result as JSON\n"
	"\n"
	"example: belay trust renew repo --keys online-keys\n";

static const char usage_assign[] =
	"usage: belay trust assign REPO TARGET [HOST…] --keys DIR [--json]\n"
	"\n"
	"Says with the fleet's key which hosts run a target that the release keys have\n"
	"signed; without a host: none. Names may have * and ?.\n"
	"\n"
	"      --keys DIR  folder with keys; again for more of them\n"
	"      --json      print the result as JSON\n"
	"\n"
	"example: belay trust assign repo sensor-2.bundle web-1 'db-*' --keys online-keys\n";

static const char usage_status[] =
	"usage: belay trust status TRUST [--repo REPO] [--host NAME] [--json]\n"
	"\n"
	"What the folder TRUST (of a host, or a folder of keys) trusts: every role's\n"
	"version, keys and expiry. With --repo it asks the repository first, and keeps\n"
	"what was verified; of a folder it shows what waits for signatures there, too,\n"
	"with its digest (belay trust sign). With --host it says what the fleet's file\n"
	"assigns to that host (belay trust assign), as the release keys signed it.\n"
	"Exit status: 0 all is valid, 1 something is refused or has expired, 2 it could\n"
	"not be read.\n"
	"\n"
	"      --repo REPO    the repository's folder, or its URL (https://…)\n" BL_TRUST_SOURCE_USAGE
	"      --host NAME    what this host is to run; of two targets it runs neither\n"
	"      --json         print it as JSON\n"
	"\n"
	"example: belay trust status /var/lib/belay/trust --repo https://mirror/belay\n"
	"         belay trust status trust --repo https://fleet:7443/v1/trust \\\n"
	"             --tls-dir /etc/belay\n";

static const struct option options_keys[] = {
	{ "keys", required_argument, NULL, BL_OPT_KEYS },
	{ "role", required_argument, NULL, BL_OPT_ROLE },
	{ "propose", no_argument, NULL, BL_OPT_PROPOSE },
	{ "json", no_argument, NULL, BL_OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* One word at least, and somewhere to take keys from. */
static int need(const struct bl_trust_args *a, const char *verb, int words,
		struct bl_err *err)
{
	if (a->words < 1)
		return bl_cli_usage(err, verb,
				    "which repository? no folder was given");
	if (a->words > words)
		return bl_cli_usage(err, verb, "'%s' is one word too many",
				    a->word[words]);
	if (!a->keys_count)
		return bl_cli_usage(err, verb,
				    "with which keys? give --keys DIR");
	return 0;
}

static int need_role(const struct bl_trust_args *a, const char *verb,
		     enum bl_repo_role *ret, struct bl_err *err)
{
	if (!a->role || bl_repo_role_parse(a->role, ret) == 0)
		return 0;
	return bl_cli_usage(
		err, verb,
		"'%s' is no role (root, targets, snapshot, timestamp, fleet)",
		a->role);
}

/* --- what a folder trusts -------------------------------------------------- */

struct row {
	const char *role;
	const struct bl_meta *meta;
	size_t keys, threshold;
	bool expired;
};

static size_t rows_of(const struct bl_trusted *t, int64_t now_s,
		      struct row ret[BL_REPO_ROLES])
{
	const struct row all[] = {
		{ .role = "root", .meta = &t->root },
		{ .role = "targets", .meta = &t->targets },
		{ .role = "snapshot", .meta = &t->snapshot },
		{ .role = "timestamp", .meta = &t->timestamp },
		{ .role = BL_FLEET_ROLE,
		  .meta = bl_trusted_role(t, &t->targets, BL_FLEET_ROLE) },
	};
	size_t count = 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(all); i++) {
		struct row row = all[i];

		if (!row.meta || !row.meta->body)
			continue;
		bl_meta_role(strcmp(row.role, BL_FLEET_ROLE) == 0 ? &t->targets
								  : &t->root,
			     row.role, &row.keys, &row.threshold);
		row.expired = row.meta->expires_s <= now_s;
		ret[count++] = row;
	}
	return count;
}

static json_t *rows_json(const struct row *rows, size_t count)
{
	char when[BL_TIME_ISO_LEN];
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:I, s:s, s:b, s:I, s:I}", "role",
				  rows[i].role, "version",
				  (json_int_t)rows[i].meta->version, "expires",
				  bl_clock_iso(rows[i].meta->expires_s * 1000,
					       when),
				  "expired", rows[i].expired, "keys",
				  (json_int_t)rows[i].keys, "threshold",
				  (json_int_t)rows[i].threshold));
	return list;
}

static int print_rows(const struct row *rows, size_t count, struct bl_err *err)
{
	bl_autotable struct bl_table *table = bl_table_new(4);
	static const char *const head[] = { "role", "version", "keys",
					    "valid until" };
	char when[BL_TIME_ISO_LEN];

	if (!table) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	bl_table_row(table);
	for (size_t i = 0; i < BL_ARRAY_SIZE(head); i++)
		bl_table_cell(table, BL_STYLE_PLAIN, "%s", head[i]);
	for (size_t i = 0; i < count; i++) {
		bl_table_row(table);
		bl_table_cell(table, BL_STYLE_PLAIN, "%s", rows[i].role);
		bl_table_cell(table, BL_STYLE_PLAIN, "%lld",
			      (long long)rows[i].meta->version);
		bl_table_cell(table, BL_STYLE_PLAIN, "%zu of %zu",
			      rows[i].threshold, rows[i].keys);
		bl_table_cell(
			table, rows[i].expired ? BL_STYLE_BAD : BL_STYLE_PLAIN,
			"%s%s",
			bl_clock_iso(rows[i].meta->expires_s * 1000, when),
			rows[i].expired ? " (expired)" : "");
	}
	bl_table_print(table, stdout, "  ");
	return BL_EXIT_OK;
}

/* What a host is to run; null: nothing. */
static void print_assigned(const char *host, const json_t *target)
{
	if (json_is_null(target))
		printf("nothing is assigned to %s\n", host);
	else if (target)
		printf("%s is to run %s  %s\n", host,
		       json_string_value(json_object_get(target, "name")),
		       json_string_value(json_object_get(target, "digest")));
}

/* Prints what is trusted, and what else was asked for (@more: an object, or NULL);
 * rejected if something has expired. */
static int report(const struct bl_trusted *t, const struct bl_trust_args *a,
		  json_t *more, struct bl_err *err)
{
	struct row rows[BL_REPO_ROLES];
	size_t count = rows_of(t, bl_trust_cmd_now(), rows);
	size_t targets =
		json_object_size(json_object_get(t->targets.body, "targets"));
	bool expired = false;
	int code;

	for (size_t i = 0; i < count; i++)
		expired |= rows[i].expired;
	if (a->json) {
		json_t *all = json_pack("{s:o, s:I}", "roles",
					rows_json(rows, count), "targets",
					(json_int_t)targets);

		json_object_update(all, more);
		code = bl_trust_cmd_json(all, err);
	} else {
		code = print_rows(rows, count, err);
		printf("targets signed: %zu\n", targets);
		bl_trust_cmd_print_waiting(json_object_get(more, "pending"));
		print_assigned(a->host, json_object_get(more, "assigned"));
	}
	return code == BL_EXIT_OK && expired ? BL_EXIT_REJECTED : code;
}

/* Not every repository has this role; and where none is asked (@f NULL) it may
 * be that nobody fetched its file since it was replaced. */
static int ask_fleet(struct bl_tuf *tuf, const struct bl_tuf_fetcher *f,
		     struct bl_err *err)
{
	const struct bl_meta *fleet;
	struct bl_err why = { 0 };
	size_t keys, threshold;
	int r;

	if (!bl_meta_role(&tuf->t.targets, BL_FLEET_ROLE, &keys, &threshold))
		return 0;
	r = bl_tuf_role(tuf, f, BL_FLEET_ROLE, &fleet, &why);
	if (!f && r == -ENOENT)
		return 0;
	if (r < 0)
		*err = why;
	return r;
}

/* What the fleet's file says of a host goes to @more. Whether it is below what the
 * host has is asked when it is applied (vouch.h). */
static int find_assigned(const struct bl_trusted *t, const char *host,
			 json_t *more, struct bl_err *err)
{
	const struct bl_meta *fleet =
		bl_trusted_role(t, &t->targets, BL_FLEET_ROLE);
	struct bl_meta_target target;
	struct bl_err why = { 0 };
	int r;

	if (!fleet)
		return bl_err_set(
			err, -ENOENT,
			"this repository has no role '%s', or its file was not fetched",
			BL_FLEET_ROLE);
	r = bl_fleet_find(&t->targets, fleet, host, 0, &target, &why);
	if (r == -ENOENT)
		return json_object_set_new(more, "assigned", json_null());
	if (r < 0) {
		*err = why;
		return r;
	}
	return json_object_set_new(
		more, "assigned",
		json_pack("{s:s, s:s, s:I, s:I}", "name", target.path, "digest",
			  target.sha256, "size_bytes",
			  (json_int_t)target.length, "serial",
			  (json_int_t)bl_fleet_serial(&target)));
}

static int cmd_status(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		BL_TRUST_SOURCE_OPTIONS,
		{ "host", required_argument, NULL, BL_OPT_HOST },
		{ "json", no_argument, NULL, BL_OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	struct bl_trust_args a = { 0 };
	BL_CLEANUP(bl_trust_source_close) struct bl_trust_source src = { 0 };
	bl_autojson json_t *more = json_object();
	json_t *waiting = NULL;
	int fleet, code;
	int r = bl_trust_cmd_args("trust status", usage_status, options, argc,
				  argv, &a, err);

	if (r || a.help)
		return r;
	if (a.words != 1)
		return bl_cli_usage(err, "trust status",
				    "one folder was expected, not %d", a.words);
	r = bl_trust_source_open(&a, "trust status", &src, err);
	if (r)
		return r;
	r = bl_tuf_open(a.word[0], &tuf, err);
	if (!r)
		r = a.repo ? bl_fresh_refresh(&tuf, &src.fetcher,
					      bl_clock_wall_ms(), NULL, NULL,
					      err)
			   : bl_tuf_offline(&tuf, 0, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	fleet = ask_fleet(&tuf, a.repo ? &src.fetcher : NULL, err);
	/* It is nobody's word yet: what is wrong with it is told by who signs. */
	if (!fleet && a.repo && !bl_mirror_is_url(a.repo) &&
	    !bl_trust_cmd_waiting(a.repo, a.word[0], &waiting, NULL))
		json_object_set_new(more, "pending", waiting);
	if (!fleet && a.host)
		fleet = find_assigned(&tuf.t, a.host, more, err);
	code = report(&tuf.t, &a, more, err);
	return fleet < 0 && code != BL_EXIT_UNDECIDED ? bl_trust_cmd_exit(fleet)
						      : code;
}

/* --- what changes a repository --------------------------------------------- */

static int cmd_init(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "keys", required_argument, NULL, BL_OPT_KEYS },
		{ "root-keys", required_argument, NULL, BL_OPT_ROOT_KEYS },
		{ "root-threshold", required_argument, NULL,
		  BL_OPT_ROOT_THRESHOLD },
		{ "release-keys", required_argument, NULL,
		  BL_OPT_RELEASE_KEYS },
		{ "release-threshold", required_argument, NULL,
		  BL_OPT_RELEASE_THRESHOLD },
		{ "no-fleet", no_argument, NULL, BL_OPT_NO_FLEET },
		{ "json", no_argument, NULL, BL_OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	struct bl_trust_args a = { .shape = { 3, 2, 1, 1, false } };
	int r = bl_trust_cmd_args("trust init", usage_init, options, argc, argv,
				  &a, err);

	if (r || a.help)
		return r;
	r = need(&a, "trust init", 1, err);
	if (r)
		return r;
	if (a.shape.root_threshold > a.shape.root_keys ||
	    a.shape.release_threshold > a.shape.release_keys)
		return bl_cli_usage(
			err, "trust init",
			"a threshold is at most the number of its keys");
	r = bl_repo_init(a.word[0], a.keys[0], &a.shape, bl_trust_cmd_now(),
			 err);
	if (!r)
		r = bl_trust_cmd_open(&a, a.word[0], &ring, &repo, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	return report(&repo.tuf.t, &a, NULL, err);
}

static int cmd_rotate(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	enum bl_repo_role role = BL_REPO_ROOT;
	struct bl_trust_args a = { 0 };
	bool waits = false;
	int r = bl_trust_cmd_args("trust rotate", usage_rotate, options_keys,
				  argc, argv, &a, err);

	if (r || a.help)
		return r;
	r = need(&a, "trust rotate", 1, err);
	if (!r)
		r = need_role(&a, "trust rotate", &role, err);
	if (r)
		return r;
	r = bl_trust_cmd_open(&a, a.word[0], &ring, &repo, err);
	if (!r)
		r = bl_repo_rotate(&repo, role, err);
	if (!r)
		r = bl_trust_cmd_publish(&a, &repo, &waits, err);
	if (r < 0 || waits)
		return r < 0 ? bl_trust_cmd_exit(r) : BL_EXIT_OK;
	return report(&repo.tuf.t, &a, NULL, err);
}

static int cmd_renew(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	enum bl_repo_role role = BL_REPO_TIMESTAMP;
	struct bl_trust_args a = { 0 };
	bool waits = false;
	int r = bl_trust_cmd_args("trust renew", usage_renew, options_keys,
				  argc, argv, &a, err);

	if (r || a.help)
		return r;
	r = need(&a, "trust renew", 1, err);
	if (!r)
		r = need_role(&a, "trust renew", &role, err);
	if (r)
		return r;
	r = bl_trust_cmd_open(&a, a.word[0], &ring, &repo, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	bl_repo_renew(&repo, role);
	r = bl_trust_cmd_publish(&a, &repo, &waits, err);
	if (r < 0 || waits)
		return r < 0 ? bl_trust_cmd_exit(r) : BL_EXIT_OK;
	return report(&repo.tuf.t, &a, NULL, err);
}

static int cmd_assign(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	BL_CLEANUP(bl_repo_close) struct bl_repo repo = { 0 };
	struct bl_trust_args a = { 0 };
	int r = bl_trust_cmd_args("trust assign", usage_assign, options_keys,
				  argc, argv, &a, err);

	if (r || a.help)
		return r;
	r = need(&a, "trust assign", a.words, err);
	if (r)
		return r;
	if (a.words < 2)
		return bl_cli_usage(err, "trust assign", "which target?");
	r = bl_trust_cmd_open(&a, a.word[0], &ring, &repo, err);
	if (!r)
		r = bl_repo_assign(&repo, a.word[1],
				   (const char *const *)a.word + 2,
				   (size_t)a.words - 2, err);
	if (!r)
		r = bl_repo_publish(&repo, err);
	if (r < 0)
		return bl_trust_cmd_exit(r);
	return report(&repo.tuf.t, &a, NULL, err);
}

int bl_cmd_trust(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_verb verbs[] = {
		{ "init", "make a repository and its keys", cmd_init },
		{ "status", "what a folder trusts", cmd_status },
		{ "rotate", "replace the keys of a role", cmd_rotate },
		{ "renew", "sign the same with a later expiry", cmd_renew },
		{ "sign", "add a signature to what waits for more",
		  bl_trust_cmd_sign },
		{ "assign", "which hosts run a signed target", cmd_assign },
	};

	bl_cli_guard_secrets();
	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
