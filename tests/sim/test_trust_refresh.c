/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent, as a process, that keeps its metadata fresh by itself: from a
 * controller that serves the repository (support/tuf.h, as files), and from one
 * that somebody has taken over, who serves whatever he likes. Each attack has its
 * name in the note that status reads; the agent runs on, what it trusts and what
 * runs in its kernel stays, and it goes on when the controller is whole again.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/trust/fresh.h"
#include "tests/main.h"
#include "tests/support/fleet.h"
#include "tests/support/tuf.h"

#define DAY_S	86400
#define HOUR_MS (3600 * INT64_C(1000))
#define LOOK_MS 20

static struct tuf tuf;
static struct bl_err err;
static char *dir, *repo_dir, *trust_dir, *old_timestamp;
static char tag[BL_KERN_TAG_LEN];

static void ok(int r)
{
	ck_assert_msg(r == 0, "%d: %s", r, err.text);
}

static void expires_in(json_t *body, int64_t seconds)
{
	char when[BL_TIME_ISO_LEN];
	bl_autofree char *text = NULL;

	text = bl_path("%.19sZ",
		       bl_clock_iso(bl_clock_wall_ms() + seconds * 1000, when));
	json_object_set_new(body, "expires", json_string(text));
}

/* What the controller serves from here on: each file whole, the timestamp last. */
static void serve(void)
{
	bl_autofree char *timestamp =
		bl_path("%s/metadata/timestamp.json", repo_dir);
	const char *name, *text;
	json_t *v;

	json_object_foreach (tuf.files, name, v) {
		bl_autofree char *path = bl_path("%s/%s", repo_dir, name);

		if (strcmp(name, "metadata/timestamp.json") != 0)
			ok(bl_file_write(path, json_string_value(v),
					 json_string_length(v), 0644, &err));
	}
	text = tuf_get(&tuf, "metadata/timestamp.json");
	if (text)
		ok(bl_file_write(timestamp, text, strlen(text), 0644, &err));
	else
		unlink(timestamp);
}

static void make_repository(void)
{
	bl_autofree char *metadata = NULL, *targets = NULL;

	dir = bl_test_tmpdir();
	repo_dir = bl_path("%s/repo", dir);
	metadata = bl_path("%s/metadata", repo_dir);
	targets = bl_path("%s/targets", repo_dir);
	ok(bl_file_mkdirs(metadata, 0755, &err));
	ok(bl_file_mkdirs(targets, 0755, &err));
	tuf_open(&tuf);
	/* Orders by mutual TLS: this is not about them. */
	json_object_del(tuf.targets, "delegations");
	expires_in(tuf.root, 400 * DAY_S);
	expires_in(tuf.targets, 90 * DAY_S);
	expires_in(tuf.fleet, 90 * DAY_S);
	expires_in(tuf.snapshot, 14 * DAY_S);
	expires_in(tuf.timestamp, 2 * DAY_S);
	tuf_write(&tuf, tuf.root, "root", TUF_ROOT_KEYS);
	tuf_publish(&tuf);
	old_timestamp = strdup(tuf_get(&tuf, "metadata/timestamp.json"));
	tuf_next(&tuf);
	serve();
}

static struct bl_fresh fresh_now(void)
{
	struct bl_fresh f = { .failures = 0 };

	bl_fresh_noted(trust_dir, &f, NULL);
	return f;
}

/* It has asked, since the note was taken away; how that went. */
static struct bl_fresh asked(void)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;
	struct bl_fresh f = fresh_now();

	while (!f.refreshed_ms && !f.failures) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "it does not ask");
		bl_clock_sleep_ms(LOOK_MS);
		f = fresh_now();
	}
	return f;
}

/* Without a note it does not know when it asked: it does at once. */
static void start_again(void)
{
	bl_autofree char *note = bl_path("%s/" BL_FRESH_FILE, trust_dir);

	if (fleet.agents[0].pid)
		fleet_kill_agent(0);
	unlink(note);
	fleet_start_agent(0);
}

/* The timestamp that is served now is the one that it keeps. */
static bool has_newest(void)
{
	return fresh_now().role[BL_META_TIMESTAMP].version ==
	       tuf_version(tuf.timestamp);
}

static void wait_newest(void)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;

	while (!has_newest()) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "it does not come");
		bl_clock_sleep_ms(LOOK_MS);
	}
}

static char *trusted(void)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_FILE, trust_dir);
	struct bl_buf b = { 0 };

	ok(bl_file_read(path, BL_TRUST_FILE_MAX, &b, &err));
	return b.data;
}

static void begin(void)
{
	const char *root;

	make_repository();
	fleet_args[0] = "--trust-repo";
	fleet_args[1] = repo_dir;
	fleet_start("sqlite:", 1, 1, 0);
	trust_dir = bl_path("%s/state-0/trust", fleet.dir);
	root = tuf_get(&tuf, "metadata/1.root.json");
	ok(bl_file_mkdirs(trust_dir, 0700, &err));
	ok(bl_trust_state_save_root(trust_dir, root, strlen(root), &err));
	start_again();
	fleet_wait_heard(1);
}

/* One version is released, rolled out, and runs. */
static void run_a_version(void)
{
	const struct fleet_version v = { .version = "v1", .probation_ms = 200 };
	bl_autostore_item struct bl_store_item blob = { 0 };
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;
	char digest[BL_DIGEST_HEX], id[BL_ROLLOUT_ID_LEN];
	bl_autofree char *key = NULL;
	struct bl_rollout rollout;
	struct bl_plan plan;

	fleet_bundle(&v, digest, tag);
	key = bl_path("blob/%s", digest);
	ok(bl_store_get(fleet.look, key, &blob, &err));
	json_object_set_new(json_object_get(tuf.targets, "targets"), "v1",
			    json_pack("{s:I, s:{s:s}, s:{s:i}}", "length",
				      (json_int_t)blob.value.len, "hashes",
				      "sha256", digest, "custom", "serial", 1));
	tuf_next(&tuf);
	serve();
	bl_plan_default(&plan);
	plan.trial_ms = plan.silence_ms = 10 * HOUR_MS;
	fleet_rollout(digest, &plan, id);
	do {
		bl_clock_sleep_ms(LOOK_MS);
		fleet_look(id, &rollout);
		ck_assert_msg(rollout.state != BL_ROLLOUT_STOPPED, "%s",
			      rollout.reason);
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "it does not end");
	} while (rollout.state != BL_ROLLOUT_DONE);
	ck_assert_str_eq(fleet_runs(0), tag);
}

/* ------------------------------------------------------------ what it serves */

static void served_timestamp_of_before(void)
{
	tuf_put(&tuf, "metadata/timestamp.json", old_timestamp);
}
static void served_timestamp_expired(void)
{
	tuf_bump(tuf.timestamp);
	expires_in(tuf.timestamp, -1);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
}
static void served_timestamp_of_a_stranger(void)
{
	tuf_bump(tuf.timestamp);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_STRANGER));
}
static void served_timestamp_without_end(void)
{
	bl_autofree char *text = malloc(BL_META_TIMESTAMP_MAX + 2);

	memset(text, ' ', BL_META_TIMESTAMP_MAX + 1);
	text[BL_META_TIMESTAMP_MAX + 1] = '\0';
	tuf_put(&tuf, "metadata/timestamp.json", text);
}
static void served_a_page(void)
{
	tuf_put(&tuf, "metadata/timestamp.json", "<html>Log in</html>");
}
static void served_snapshot_of_before(void)
{
	bl_autofree char *old =
		strdup(tuf_get(&tuf, tuf_name(tuf.snapshot, "snapshot")));

	tuf_next(&tuf);
	tuf_put(&tuf, tuf_name(tuf.snapshot, "snapshot"), old);
}
static void served_targets_of_before(void)
{
	bl_autofree char *old =
		strdup(tuf_get(&tuf, tuf_name(tuf.targets, "targets")));

	tuf_next(&tuf);
	tuf_put(&tuf, tuf_name(tuf.targets, "targets"), old);
}
static void served_targets_of_an_online_key(void)
{
	tuf_next(&tuf);
	tuf_write(&tuf, tuf.targets, "targets", TUF_KEY(TUF_TIMESTAMP));
	tuf_state_snapshot(&tuf);
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	tuf_state_timestamp(&tuf);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
}
static void served_root_of_nobody(void)
{
	tuf_bump(tuf.root);
	tuf_write(&tuf, tuf.root, "root", 0);
}
static void served_nothing_at_all(void)
{
	json_object_del(tuf.files, "metadata/timestamp.json");
}

static const struct {
	const char *name;
	void (*attack)(void);
	const char *fault; /* "": no attack that has a name */
	const char *said;
} rows[] = {
#define SERVES(attack, fault, said)          \
	{                                    \
#attack, attack, fault, said \
	}
	SERVES(served_timestamp_of_before, "rollback", "timestamp.json"),
	SERVES(served_timestamp_expired, "expired", "timestamp.json"),
	SERVES(served_timestamp_of_a_stranger, "signature", "timestamp.json"),
	SERVES(served_timestamp_without_end, "endless", "more than 16384"),
	SERVES(served_a_page, "malformed", "timestamp.json"),
	SERVES(served_snapshot_of_before, "mix-and-match", "snapshot.json"),
	SERVES(served_targets_of_before, "mix-and-match", "targets.json"),
	SERVES(served_targets_of_an_online_key, "signature", "targets.json"),
	SERVES(served_root_of_nobody, "signature", "root.json"),
	SERVES(served_nothing_at_all, "", "does not have this file"),
};

/* The bodies as they are, to be put back after an attack. */
struct bodies {
	json_t *root, *timestamp, *snapshot, *targets, *fleet, *files;
};

static struct bodies remember(void)
{
	return (struct bodies){
		json_deep_copy(tuf.root),     json_deep_copy(tuf.timestamp),
		json_deep_copy(tuf.snapshot), json_deep_copy(tuf.targets),
		json_deep_copy(tuf.fleet),    json_deep_copy(tuf.files),
	};
}

static void put_back(struct bodies *b)
{
	struct tuf was = tuf;
	bl_autofree char *root = bl_path("%s/metadata/2.root.json", repo_dir);

	tuf.root = b->root;
	tuf.timestamp = b->timestamp;
	tuf.snapshot = b->snapshot;
	tuf.targets = b->targets;
	tuf.fleet = b->fleet;
	tuf.files = b->files;
	tuf_close(&was);
	unlink(root);
	serve();
}

static void try(size_t i)
{
	struct bodies good = remember();
	bl_autofree char *before = trusted(), *after = NULL;
	int64_t version = tuf_version(tuf.timestamp);
	struct bl_fresh f;

	rows[i].attack();
	serve();
	start_again();
	f = asked();
	ck_assert_msg(f.failures && strcmp(f.fault, rows[i].fault) == 0,
		      "%s: '%s': %s", rows[i].name, f.fault, f.why);
	ck_assert_msg(strstr(f.why, rows[i].said), "%s: %s", rows[i].name,
		      f.why);
	/* What it trusts is what it was, and so is what runs. */
	ck_assert_int_eq(f.role[BL_META_TIMESTAMP].version, version);
	ck_assert_int_gt(f.next_ms, f.failed_ms);
	after = trusted();
	ck_assert_msg(strcmp(before, after) == 0, "%s: changed", rows[i].name);
	ck_assert_str_eq(fleet_runs(0), tag);
	ck_assert_int_eq(kill(fleet.agents[0].pid, 0), 0);

	put_back(&good);
	start_again();
	f = asked();
	ck_assert_msg(!f.failures, "%s: afterwards: %s", rows[i].name, f.why);
}

START_TEST(what_a_hostile_controller_serves_is_named_and_changes_nothing)
{
	begin();
	run_a_version();
	for (size_t i = 0; i < BL_ARRAY_SIZE(rows); i++)
		try(i);
	fleet_end();
}
END_TEST

static void publish_timestamp(int64_t seconds)
{
	tuf_bump(tuf.timestamp);
	expires_in(tuf.timestamp, seconds);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
	serve();
}

/* One that expires soon, until it is taken: on a slow machine it has expired before
 * that, and the next one lasts longer. */
static void publish_short(void)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;

	for (int64_t seconds = 11; !has_newest(); seconds *= 2) {
		uint64_t until_ms =
			bl_clock_mono_ms() + (uint64_t)seconds * 1000;

		publish_timestamp(seconds);
		while (!has_newest() && bl_clock_mono_ms() < until_ms)
			bl_clock_sleep_ms(LOOK_MS);
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "it does not come");
	}
}

/* Nobody starts it again, nobody gives it an order. */
START_TEST(an_agent_that_nobody_touches_stays_fresh)
{
	begin();
	ck_assert_int_eq(asked().failures, 0);
	fleet_kill_agent(0);
	publish_timestamp(11);
	start_again();
	publish_short();
	/* By itself, while half of that is left. */
	publish_timestamp(11);
	publish_short();

	/* The controller has nothing for a while. */
	fleet_kill_controller(0);
	while (!fresh_now().failures)
		bl_clock_sleep_ms(LOOK_MS);
	publish_timestamp(2 * DAY_S);
	fleet_start_controller(0);
	wait_newest();
	ck_assert_int_eq(fresh_now().failures, 0);
	fleet_end();
}
END_TEST

/* Its certificate comes while it runs, in a folder that was not there. */
START_TEST(an_agent_that_is_enrolled_while_it_runs_is_not_started_again)
{
	bl_autofree char *tls = NULL, *away = NULL;
	pid_t pid;

	begin();
	ck_assert_int_eq(asked().failures, 0);
	fleet_kill_agent(0);
	tls = bl_path("%s/tls-0", fleet.dir);
	away = bl_path("%s/tls-0.away", fleet.dir);
	ck_assert_int_eq(rename(tls, away), 0);
	start_again();
	pid = fleet.agents[0].pid;
	ck_assert_int_gt(asked().failures, 0);
	ck_assert_int_eq(rename(away, tls), 0);
	while (!fresh_now().refreshed_ms)
		bl_clock_sleep_ms(LOOK_MS);
	ck_assert_int_eq(fleet.agents[0].pid, pid);
	ck_assert_int_eq(kill(pid, 0), 0);
	fleet_end();
}
END_TEST

static void tear_down(void)
{
	tuf_close(&tuf);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
	free(repo_dir);
	free(trust_dir);
	free(old_timestamp);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust refresh");
	TCase *tc = tcase_create("refresh");

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_set_timeout(tc, 900);
	tcase_add_test(
		tc,
		what_a_hostile_controller_serves_is_named_and_changes_nothing);
	tcase_add_test(tc, an_agent_that_nobody_touches_stays_fresh);
	tcase_add_test(
		tc,
		an_agent_that_is_enrolled_while_it_runs_is_not_started_again);
	suite_add_tcase(suite, tc);
	return suite;
}
