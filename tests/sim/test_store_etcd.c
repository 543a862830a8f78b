/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet whose ledger is in an etcd of three members that are killed under it:
 * one, the leader, the quorum. Losing the quorum is no new exposure, and nothing
 * else; when it is back the rollout goes on. sim_step asserts I6 and I7 all the
 * while. The fleet's clock stands still while etcd elects, so that no outcome
 * depends on how long that takes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/store/store.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/main.h"
#include "tests/support/etcd.h"
#include "tests/support/sim_fleet.h"

#define MEMBERS	   3
#define HOSTS	   6
#define MINUTE_MS  60000
#define LONG_MS	   120000
#define SHORT_MS   2000

static struct etcd etcd;
static struct sim sim;
static struct bl_err err;

static struct bl_store *open_store(uint64_t timeout_ms)
{
	const struct bl_store_etcd_opts opts = { .timeout_ms = timeout_ms };
	bl_autofree char *url = etcd_url(&etcd, "fleet");
	struct bl_store *s = NULL;

	ck_assert_msg(bl_store_etcd_open(url + 5, &opts, &s, &err) == 0, "%s",
		      err.text);
	return s;
}

static void set_up(void)
{
	etcd_start(&etcd, MEMBERS);
}

static void tear_down(void)
{
	etcd_stop(&etcd);
}

/* A look that waits out an election. */
static void wait_for_store(void)
{
	int64_t revision;

	etcd_wait(&etcd);
	while (bl_store_revision(sim.look, &revision, &err) < 0)
		bl_clock_sleep_ms(100);
	while (bl_store_revision(sim.store_under, &revision, &err) < 0)
		bl_clock_sleep_ms(100);
}

static void start_rollout(void)
{
	sim_start_on(&sim, 5, HOSTS, open_store(LONG_MS), open_store(LONG_MS));
	sim.plan.cap = 2;
	sim_run_ms(&sim, 2000);
	sim_rollout(&sim, "v1", SIM_GOOD);
	while (sim_running(&sim) < 2)
		sim_step(&sim);
}

static void expect_done(void)
{
	ck_assert_int_eq(sim_run_over(&sim, 3 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&sim), HOSTS);
	ck_assert_uint_le(sim.max_unconfirmed, 2);
	sim_end(&sim);
}

START_TEST(a_member_that_dies_is_not_missed)
{
	unsigned leader;

	start_rollout();
	leader = etcd_leader(&etcd);
	etcd_kill(&etcd, (leader + 1) % MEMBERS);
	/* Nothing to wait for: the others have their leader. */
	expect_done();
}
END_TEST

START_TEST(rollout_goes_on_when_the_leader_dies)
{
	start_rollout();
	etcd_kill(&etcd, etcd_leader(&etcd));
	wait_for_store();
	expect_done();
}
END_TEST

START_TEST(without_quorum_nobody_new_is_exposed_and_nothing_else_happens)
{
	char live[HOSTS][BL_DIGEST_HEX];
	const struct bl_store_compare nothing = { "nothing", 0 };
	unsigned i, tried, left = etcd_leader(&etcd);
	struct bl_store *quick;

	start_rollout();
	/* Trials under way end by themselves; let them. */
	while (sim.hosts[0].agent.busy || sim.hosts[1].agent.busy ||
	       sim.hosts[2].agent.busy || sim.hosts[3].agent.busy ||
	       sim.hosts[4].agent.busy || sim.hosts[5].agent.busy)
		sim_step(&sim);
	quick = open_store(SHORT_MS);
	bl_store_close(sim.store_under);
	sim.store_under = quick;
	for (i = 0; i < HOSTS; i++)
		memcpy(live[i], sim.hosts[i].live, sizeof(live[i]));
	tried = sim_tried(&sim);
	ck_assert_uint_lt(tried, HOSTS);
	for (i = 0; i < MEMBERS; i++)
		if (i != left)
			etcd_kill(&etcd, i);
	sim.look_away = true;
	/* An order is not given again by what one member remembers. */
	ck_assert_int_eq(bl_store_txn(sim.store_under, &nothing, 1, NULL, 0,
				      NULL),
			 -EHOSTUNREACH);
	/* Longer than a host may be silent. */
	sim_run_ms(&sim, 3 * sim.plan.silence_ms);
	ck_assert_uint_eq(sim_tried(&sim), tried);
	for (i = 0; i < HOSTS; i++)
		ck_assert_str_eq(sim.hosts[i].live, live[i]);
	ck_assert_uint_eq(sim_request(&sim, "GET", "/v1/rollouts", NULL, NULL),
			  503);
	for (i = 0; i < MEMBERS; i++)
		if (i != left)
			etcd_restart(&etcd, i);
	wait_for_store();
	bl_store_close(sim.store_under);
	sim.store_under = open_store(LONG_MS);
	sim.look_away = false;
	/* Nobody's silence: nobody could be heard. */
	expect_done();
}
END_TEST

START_TEST(nobody_there_is_said_in_words)
{
	bl_autofree char *url = etcd_url(&etcd, "fleet");
	struct bl_store *s = NULL;
	unsigned i;

	for (i = 0; i < MEMBERS; i++)
		etcd_kill(&etcd, i);
	ck_assert_int_eq(bl_store_open(url, &s, &err), -EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(err.text, "http://127.0.0.1:"));
	ck_assert_ptr_null(s);
}
END_TEST

/* On the way to another machine only TLS will do. */
START_TEST(etcd_with_tls_is_believed_by_its_authority_only)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *other = bl_path("%s/other", dir);
	bl_autofree char *ca = bl_path("%s/ca.pem", dir);
	bl_autofree char *other_ca = bl_path("%s/ca.pem", other);
	bl_autofree char *url = NULL;
	struct bl_store_put put = { "k", "v", 1 };
	struct bl_store *s = NULL;
	struct etcd e;

	ck_assert_int_eq(bl_pki_dir_init(dir, NULL, 0, "admin",
					 bl_clock_wall_ms(), NULL),
			 0);
	ck_assert_int_eq(bl_pki_dir_init(other, NULL, 0, "admin",
					 bl_clock_wall_ms(), NULL),
			 0);
	etcd_start_tls(&e, 1, dir);
	url = etcd_url(&e, "fleet");
	setenv("BELAY_ETCD_CA", other_ca, 1);
	ck_assert_int_eq(bl_store_open(url, &s, &err), -EACCES);
	ck_assert_ptr_nonnull(strstr(err.text, "https://127.0.0.1:"));
	setenv("BELAY_ETCD_CA", ca, 1);
	ck_assert_msg(bl_store_open(url, &s, &err) == 0, "%s", err.text);
	ck_assert_int_eq(bl_store_txn(s, NULL, 0, &put, 1, &err), 0);
	bl_store_close(s);
	unsetenv("BELAY_ETCD_CA");
	etcd_stop(&e);
	bl_file_rmtree(dir, NULL);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("store_etcd");
	TCase *t = tcase_create("killed");

	etcd_need();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_member_that_dies_is_not_missed);
	tcase_add_test(t, rollout_goes_on_when_the_leader_dies);
	tcase_add_test(
		t,
		without_quorum_nobody_new_is_exposed_and_nothing_else_happens);
	tcase_add_test(t, nobody_there_is_said_in_words);
	suite_add_tcase(suite, t);
	t = tcase_create("tls");
	tcase_add_test(t, etcd_with_tls_is_believed_by_its_authority_only);
	suite_add_tcase(suite, t);
	return suite;
}
