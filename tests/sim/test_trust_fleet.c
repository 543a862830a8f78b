/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet that wants signatures: a controller with the fleet's key that serves
 * the repository, agents as processes with a root.json (support/fleet.h). What is
 * released and ordered with the right key goes to all of them. A controller
 * whose key is another one, or that has none, moves nobody; and what was
 * uploaded and never released is refused by the first host that gets it, which
 * says why.
 */
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/trust/obey.h"
#include "loader/trust/repo.h"
#include "tests/main.h"
#include "tests/support/fleet.h"

#define AGENTS	4
#define HOUR_MS (3600 * INT64_C(1000))
#define LOOK_MS 50

static const struct bl_repo_shape shape = { 1, 1, 1, 1, false };
static char *dir, *repo_dir, *keys_dir, *fleet_key, *thief_dir, *thief_key;
static struct bl_keys ring;
static struct bl_repo repo;
static struct bl_err err;
static struct bl_plan plan;
static struct bl_rollout rollout;
static char id[BL_ROLLOUT_ID_LEN];

static void ok(int r)
{
	ck_assert_msg(r == 0, "%d: %s", r, err.text);
}

/* The file of a key of the fleet role. */
static char *key_file(const char *folder, const struct bl_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->key[i].role, "fleet") == 0)
			return bl_path("%s/fleet-%.8s.key", folder,
				       keys->key[i].id);
	ck_abort_msg("no key of the fleet");
	return NULL;
}

static void make_repository(void)
{
	BL_CLEANUP(bl_keys_wipe) struct bl_keys thief = { .count = 0 };

	dir = bl_test_tmpdir();
	repo_dir = bl_path("%s/repo", dir);
	keys_dir = bl_path("%s/keys", dir);
	thief_dir = bl_path("%s/thief", dir);
	ok(bl_repo_init(repo_dir, keys_dir, &shape, bl_clock_wall_ms() / 1000,
			&err));
	ok(bl_keys_load(keys_dir, &ring, &err));
	ok(bl_repo_open(repo_dir, keys_dir, &ring, bl_clock_wall_ms() / 1000,
			&repo, &err));
	fleet_key = key_file(keys_dir, &ring);
	ok(bl_file_mkdirs(thief_dir, 0700, &err));
	ok(bl_keys_make("fleet", &thief, &err));
	ok(bl_keys_write(thief_dir, &thief, &err));
	thief_key = key_file(thief_dir, &thief);
}

/* A host gets its root once, and starts; the rest it fetches itself. */
static void begin(unsigned i)
{
	bl_autofree char *trust = bl_path("%s/state-%u/trust", fleet.dir, i);

	ok(bl_file_mkdirs(trust, 0700, &err));
	ok(bl_trust_state_save_root(trust, repo.tuf.state.root.data,
				    repo.tuf.state.root.len, &err));
	fleet_start_agent(i);
}

/* A controller with this key; NULL: without one. */
static void controller(const char *key)
{
	fleet_args[0] = "--trust-repo";
	fleet_args[1] = repo_dir;
	fleet_args[2] = key ? "--fleet-key" : NULL;
	fleet_args[3] = key;
	if (fleet.controllers[0].pid)
		fleet_kill_controller(0);
	if (fleet.dir)
		fleet_start_controller(0);
}

/* Uploads it; released: by the release keys, and hosts are to find out. */
static void version(const char *name, bool released,
		    char ret_digest[static BL_DIGEST_HEX],
		    char ret_tag[static BL_KERN_TAG_LEN])
{
	const struct fleet_version v = { .version = name, .probation_ms = 300 };
	bl_autostore_item struct bl_store_item blob = { 0 };
	bl_autofree char *key = NULL;

	fleet_bundle(&v, ret_digest, ret_tag);
	if (!released)
		return;
	key = bl_path("blob/%s", ret_digest);
	ok(bl_store_get(fleet.look, key, &blob, &err));
	ok(bl_repo_add(&repo, name, blob.value.data, blob.value.len, &err));
	ok(bl_repo_publish(&repo, &err));
}

/* Rolls it out, until that is over. */
static void roll_out(const char *digest, enum bl_rollout_state end)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;

	fleet_rollout(digest, &plan, id);
	do {
		bl_clock_sleep_ms(LOOK_MS);
		fleet_look(id, &rollout);
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "it does not end");
	} while (rollout.state != BL_ROLLOUT_DONE &&
		 rollout.state != BL_ROLLOUT_STOPPED);
	ck_assert_msg(rollout.state == end, "%s: %s", id, rollout.reason);
}

static void all_run(const char *tag)
{
	for (unsigned i = 0; i < AGENTS; i++)
		ck_assert_str_eq(fleet_runs(i), tag);
}

/* It was stopped by the first host, for this reason; nobody has moved. */
static void nobody_moved(const char *tag, const char *why)
{
	ck_assert_uint_le(rollout.exposed, 1);
	ck_assert_msg(strstr(rollout.reason, why), "%s", rollout.reason);
	all_run(tag);
}

START_TEST(a_fleet_obeys_its_key_and_runs_what_was_released)
{
	char digest[BL_DIGEST_HEX], tag[BL_KERN_TAG_LEN];
	char ignored[BL_KERN_TAG_LEN];

	make_repository();
	bl_plan_default(&plan);
	plan.waves[0] = (struct bl_wave){ .hosts = 1 };
	plan.waves[1] = (struct bl_wave){ .percent = 100 };
	plan.wave_count = 2;
	plan.trial_ms = plan.silence_ms = 10 * HOUR_MS;
	controller(fleet_key);
	fleet_start("sqlite:", 1, AGENTS, 0);
	for (unsigned i = 0; i < AGENTS; i++)
		begin(i);
	fleet_wait_heard(AGENTS);

	version("v1", true, digest, tag);
	roll_out(digest, BL_ROLLOUT_DONE);
	all_run(tag);

	version("uploaded", false, digest, ignored);
	roll_out(digest, BL_ROLLOUT_STOPPED);
	nobody_moved(tag, "the release keys have not signed");

	/* Released all right; ordered by who holds another key, or none. */
	controller(thief_key);
	version("v2", true, digest, ignored);
	roll_out(digest, BL_ROLLOUT_STOPPED);
	nobody_moved(tag, "signed by 0 of the keys of the role 'fleet'");

	controller(NULL);
	version("v3", true, digest, ignored);
	roll_out(digest, BL_ROLLOUT_STOPPED);
	nobody_moved(tag, "the order is not signed");

	controller(fleet_key);
	version("v4", true, digest, tag);
	roll_out(digest, BL_ROLLOUT_DONE);
	all_run(tag);
	fleet_end();
}
END_TEST

static void tear_down(void)
{
	bl_repo_close(&repo);
	bl_keys_wipe(&ring);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
	free(repo_dir);
	free(keys_dir);
	free(thief_dir);
	free(fleet_key);
	free(thief_key);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust fleet");
	TCase *tc = tcase_create("fleet");

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_add_test(tc, a_fleet_obeys_its_key_and_runs_what_was_released);
	suite_add_tcase(suite, tc);
	return suite;
}
