/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet of real hosts (microVMs on 6.1, the real sensor, the real agent) on
 * two controllers and an etcd of three members, in which everything is killed
 * with -9 at moments that a seed draws:
 *
 *  - a good version, while both controllers and two members of etcd are killed,
 *    and the agent of every host after it has committed: it is done;
 *  - a version in whose trial the agent is killed: the kernel of that host goes
 *    back by itself, the next agent says so, the rollout is stopped;
 *  - a bad version, tried by all hosts at once, while the same are killed: it is
 *    stopped, and every host runs the old one.
 *
 * BELAY_FLEET_SEED replays one. Nothing depends on how fast the machine is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/lab/catalog.h"
#include "tests/main.h"
#include "tests/support/fleet_course.h"

#define SKIPPED	 77
#define KERNEL	 "6.1"
#define HOSTS	 3
#define HOUR_MS	 (3600 * INT64_C(1000))
#define LOOK_MS	 100
#define DELAY_MS 1000 /* to a kill, and until what was killed begins again */
#define FLOOD	 BL_TEST_BUILD_DIR "/tests/faults/ebpf/event-flood.bpf.o"

static struct etcd etcd;
static char id[BL_ROLLOUT_ID_LEN];

static void rest(void)
{
	bl_clock_sleep_ms((uint64_t)rand() % DELAY_MS);
}

static void kill_controller(unsigned i)
{
	rest();
	fleet_kill_controller(i);
	rest();
	fleet_start_controller(i);
}

static void kill_first_controller(void)
{
	kill_controller(0);
}

static void kill_second_controller(void)
{
	kill_controller(1);
}

static void kill_member(unsigned i)
{
	rest();
	etcd_kill(&etcd, i);
	rest();
	etcd_restart(&etcd, i);
	etcd_wait(&etcd);
}

static void kill_leader(void)
{
	kill_member(etcd_leader(&etcd));
}

static void kill_follower(void)
{
	kill_member((etcd_leader(&etcd) + 1) % etcd.count);
}

/* Each of them once, in an order and at moments that are drawn. */
static void draw(struct fleet_act acts[4])
{
	static void (*const kills[4])(void) = {
		kill_first_controller,
		kill_second_controller,
		kill_leader,
		kill_follower,
	};
	unsigned i, k, percent = 0;

	for (i = 0; i < 4; i++)
		acts[i].fn = NULL;
	for (i = 0; i < 4; i++) {
		do
			k = (unsigned)rand() % 4;
		while (acts[k].fn);
		acts[k].fn = kills[i];
	}
	for (i = 0; i < 4; i++) {
		acts[i].percent = percent;
		percent += (unsigned)rand() % 34; /* 99 at most */
	}
}

/* @width hosts at a time. */
static void roll_out(const char *digest, unsigned width)
{
	struct bl_plan plan;

	bl_plan_default(&plan);
	plan.waves[0] = (struct bl_wave){ .hosts = width };
	plan.waves[1] = (struct bl_wave){ .percent = 100 };
	plan.wave_count = 2;
	plan.ladder_count = 0;
	plan.stratum_facts = 0;
	plan.cap = width;
	plan.trial_ms = plan.silence_ms = 10 * HOUR_MS;
	fleet_rollout(digest, &plan, id);
}

static void wait_said(unsigned count, const char *words)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;

	while (fleet_vms_said(words) < count) {
		fleet_vms_run();
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "%u of %u hosts have said '%s', see %s",
			      fleet_vms_said(words), count, words, fleet.dir);
		bl_clock_sleep_ms(LOOK_MS);
	}
	ck_assert_msg(fleet_vms_said("FAIL") == 0, "see %s", fleet.dir);
}

/* All hosts run @v1, and nobody is left who was told otherwise. */
static void expect_stopped(const char *v1, unsigned exposed)
{
	struct fleet_halt h;

	fleet_halted(id, &h);
	ck_assert_uint_eq(h.exposed, exposed);
	ck_assert_uint_eq(fleet_without(&h), exposed);
	ck_assert_uint_eq(fleet_vms_with(v1), HOSTS);
	ck_assert_uint_gt(fleet_cap_held(&etcd, "fleet", id), 0);
}

static void good_one(const char *v1)
{
	struct fleet_act acts[4];
	struct fleet_course c;

	draw(acts);
	roll_out(v1, 1);
	fleet_follow(id, acts, 4, NULL, &c);
	ck_assert_msg(c.state == BL_ROLLOUT_DONE, "it was stopped: %s",
		      c.reason);
	ck_assert_uint_eq(fleet_vms_with(v1), HOSTS);
	ck_assert_uint_gt(fleet_cap_held(&etcd, "fleet", id), 0);
	wait_said(HOSTS, "agent killed after a commit");
	printf("a good version: done on %u hosts in %.1f s\n", HOSTS,
	       (double)c.took_ms / 1000);
}

static void one_whose_agent_dies(const char *v1, const char *v2)
{
	struct fleet_course c;
	struct bl_rollout r;

	roll_out(v2, 1);
	fleet_follow(id, NULL, 0, NULL, &c);
	ck_assert_int_eq(c.state, BL_ROLLOUT_STOPPED);
	wait_said(1, "the kernel went back by itself");
	fleet_look(id, &r);
	ck_assert_msg(strstr(r.reason, "died"), "it was stopped for this: %s",
		      r.reason);
	expect_stopped(v1, 1);
	printf("an agent killed in its trial: %s\n", r.reason);
}

static void bad_one(const char *v1, const char *v3)
{
	struct fleet_act acts[4];
	struct fleet_course c;
	struct bl_rollout r;

	draw(acts);
	roll_out(v3, HOSTS);
	fleet_follow(id, acts, 4, NULL, &c);
	ck_assert_int_eq(c.state, BL_ROLLOUT_STOPPED);
	fleet_look(id, &r);
	ck_assert_msg(strstr(r.reason, "lost"), "it was stopped for this: %s",
		      r.reason);
	expect_stopped(v1, r.exposed);
	printf("a bad version: %u exposed, %s\n", r.exposed, r.reason);
}

START_TEST(fleet_of_real_hosts_outlives_every_kill)
{
	static const struct fleet_version versions[] = {
		{ "1", BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o", 1000 },
		/* Whoever is killed in its trial is killed long before its end. */
		{ "2", BL_TEST_BUILD_DIR "/bpf/sensor-v3.bpf.o", 600000 },
		/* It ends as soon as it is seen to lose events. */
		{ "3", FLOOD, 600000 },
	};
	const char *given = getenv("BELAY_FLEET_SEED");
	unsigned i, seed = given ? (unsigned)strtoul(given, NULL, 10)
				 : (unsigned)bl_clock_wall_ms();
	char digests[3][BL_DIGEST_HEX], tag[BL_KERN_TAG_LEN];
	bl_autofree char *url = NULL;

	printf("BELAY_FLEET_SEED=%u\n", seed);
	srand(seed);
	etcd_start(&etcd, 3);
	url = etcd_url(&etcd, "fleet");
	fleet_start(url, 2, 0, 0);
	fleet_start_vms(&(struct fleet_vms){
		.count = HOSTS,
		.kernel = KERNEL,
		.log_dir = BL_TEST_BUILD_DIR "/tests/lab/logs",
		.kill_in = "2",
		.delay_ms = (unsigned)rand() % DELAY_MS,
	});
	for (i = 0; i < 3; i++)
		fleet_bundle(&versions[i], digests[i], tag);
	good_one(digests[0]);
	one_whose_agent_dies(digests[0], digests[1]);
	bad_one(digests[0], digests[2]);
	fleet_end();
	etcd_stop(&etcd);
}
END_TEST

static void need_kernel(void)
{
	bl_autocatalog struct bl_catalog c = { 0 };
	const struct bl_kernel *kernel;
	struct bl_err err = { 0 };

	if (bl_catalog_load(&c, &err) == 0 &&
	    bl_catalog_pick(&c, KERNEL, &kernel, &err) == 0)
		return;
	printf("skipped: %s; %s\n", err.text, err.hint);
	exit(SKIPPED);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("fleet_kill");
	TCase *t = tcase_create("vms");

	setvbuf(stdout, NULL, _IOLBF, 0);
	etcd_need();
	need_kernel();
	tcase_set_timeout(t, 3 * FLEET_PATIENCE_MS / 1000);
	tcase_add_test(t, fleet_of_real_hosts_outlives_every_kill);
	suite_add_tcase(s, t);
	return s;
}
