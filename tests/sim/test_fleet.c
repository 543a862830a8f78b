/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole fleet: controllers as processes, agents as processes over one fake
 * kernel each (support/fleet.h). A version goes to all of them; the next one is
 * bad on one host, which comes late, and is taken back from all. On the way
 * controllers, agents and the store are killed. At every look the cap holds and
 * the ledger's sums are true (I7); after the stop nobody is exposed any more;
 * in the end every kernel has what it is to have.
 *
 * BELAY_FLEET_AGENTS makes it larger (`scripts/soak fleet`), and adds a host
 * that falls silent. With BELAY_FLEET_VMS as many microVMs are of it, on one
 * controller and an etcd of three; the versions are real sensors then, and it is
 * a VM that falls silent: it stands still. Figures are printed, and nothing
 * depends on them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/main.h"
#include "tests/support/fleet_course.h"

#define AGENTS	   12
#define AGENTS_MAX 5000
#define HOUR_MS	   (3600 * INT64_C(1000))
#define LOOK_MS	   50
#define SILENCE_MS 60000 /* of the soak: it waits for that */

/* How long a version is tried; a VM is slower. */
#define PROBATION_MS	300
#define VM_PROBATION_MS 6000

static struct etcd etcd;
static struct bl_plan plan;
static char id[BL_ROLLOUT_ID_LEN];

static unsigned given(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static unsigned wanted(void)
{
	unsigned n = given("BELAY_FLEET_AGENTS", AGENTS);

	ck_assert_uint_ge(n, 8);
	ck_assert_uint_le(n, AGENTS_MAX);
	return n;
}

static bool at_length(void)
{
	return getenv("BELAY_FLEET_AGENTS") != NULL;
}

static unsigned hosts(void)
{
	return fleet.agent_count + fleet.vm_count;
}

/* All hosts are alike, so that the bad one is not found by its kind. */
static void make_plan(unsigned count)
{
	bl_plan_default(&plan);
	plan.waves[0] = (struct bl_wave){ .hosts = 1 };
	plan.waves[1] = (struct bl_wave){ .percent = 25 };
	plan.waves[2] = (struct bl_wave){ .percent = 100 };
	plan.wave_count = 3;
	plan.ladder_count = 0;
	plan.stratum_facts = 0;
	plan.cap = count / 3;
	plan.trial_ms = plan.silence_ms = 10 * HOUR_MS;
}

/* -------------------------------------------- what happens to it on the way */

static void kill_controllers(void)
{
	unsigned i;

	for (i = 0; i < fleet.controller_count; i++) {
		fleet_kill_controller(i);
		fleet_start_controller(i);
	}
}

/* An exposed host KIND-N in one of @states, its N; -1: there is none now. */
static int find_host(const char *kind, unsigned states)
{
	bl_autofleet struct bl_fleet f = { 0 };
	size_t i, len = strlen(kind);
	int n;

	if (bl_fleet_load(fleet.look, id, bl_clock_wall_ms(), &f, NULL) < 0)
		return -1;
	for (i = 0; i < f.exposure_count; i++)
		if ((states & (1u << f.exposures[i].state)) &&
		    strncmp(f.exposures[i].host, kind, len) == 0 &&
		    sscanf(f.exposures[i].host + len, "-%d", &n) == 1 &&
		    (strcmp(kind, "agent") != 0 || fleet.agents[n].pid))
			return n;
	return -1;
}

/* One that has the version: in a trial it would be its end. */
static void kill_agent(void)
{
	int n = find_host("agent", 1u << BL_EXPOSURE_COMMITTED);

	ck_assert_int_ge(n, 0);
	fleet_kill_agent((unsigned)n);
	fleet_start_agent((unsigned)n);
}

/* One that is about to go back, wherever it is. */
static void kill_returning(void)
{
	int n = find_host("agent", 1u << BL_EXPOSURE_EXPOSED |
					   1u << BL_EXPOSURE_TRIAL |
					   1u << BL_EXPOSURE_COMMITTED);

	if (n < 0)
		return; /* all are back already */
	fleet_kill_agent((unsigned)n);
	fleet_start_agent((unsigned)n);
}

static void kill_store(void)
{
	unsigned leader;

	if (!etcd.count)
		return;
	leader = etcd_leader(&etcd);
	etcd_kill(&etcd, leader);
	etcd_restart(&etcd, leader);
	etcd_wait(&etcd);
}

static void start_last_agent(void)
{
	fleet_start_agent(fleet.agent_count - 1);
}

static int silent = -1; /* an agent, or a VM if there are any */

static void silence_one(void)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;
	const char *kind = fleet.vm_count ? "vm" : "agent";

	while ((silent = find_host(kind, 1u << BL_EXPOSURE_COMMITTED)) < 0) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "no %s has the version", kind);
		bl_clock_sleep_ms(LOOK_MS);
	}
	if (fleet.vm_count)
		fleet_freeze_vm((unsigned)silent);
	else
		fleet_kill_agent((unsigned)silent);
}

static void speak_again(void)
{
	if (fleet.vm_count)
		fleet_thaw_vm((unsigned)silent);
	else
		fleet_start_agent((unsigned)silent);
}

static bool stopping(const struct bl_rollout *r)
{
	return r->state == BL_ROLLOUT_STOPPING;
}

static unsigned running(const char *tag)
{
	unsigned i, n = 0;

	for (i = 0; i < fleet.agent_count; i++)
		n += strcmp(fleet_runs(i), tag) == 0;
	return n;
}

static bool all_back(void)
{
	struct fleet_halt h;

	fleet_halted(id, &h);
	return fleet_without(&h) == h.exposed;
}

/* Every host that was exposed is accounted for: back, or by itself never on it. */
static void tell_halt(const char *what, const struct fleet_course *c)
{
	struct fleet_halt h;
	unsigned i;

	fleet_halted(id, &h);
	/* The stop is the end of it, at whatever moment it was seen. */
	ck_assert_uint_eq(h.exposed, c->exposed_at_stop);
	printf("%s: ", what);
	if (h.states[BL_EXPOSURE_FAILED])
		printf("decided %lld ms after the first report of a bad host; ",
		       (long long)h.decided_ms);
	printf("%u of %u exposed, the last %lld ms after the decision; the last was back %lld ms after it;",
	       h.exposed, hosts(), (long long)h.last_exposed_ms,
	       (long long)h.last_back_ms);
	for (i = 0; i < BL_ARRAY_SIZE(h.states); i++)
		if (h.states[i])
			printf(" %u %s", h.states[i],
			       bl_exposure_state_name(
				       (enum bl_exposure_state)i));
	printf("\n");
	ck_assert(all_back());
}

static void full_rollout_and_back(const struct fleet_version versions[2],
				  char ret_v1[static BL_DIGEST_HEX])
{
	static const struct fleet_act good[] = { { 20, kill_controllers },
						 { 40, kill_agent },
						 { 60, kill_store } };
	static const struct fleet_act bad[] = { { 20, kill_store },
						{ 40, kill_controllers },
						{ 60, start_last_agent } };
	unsigned n = fleet.agent_count;
	char *v1 = ret_v1, v2[BL_DIGEST_HEX];
	char tag1[BL_KERN_TAG_LEN], tag2[BL_KERN_TAG_LEN];
	struct bl_rollout r;
	struct fleet_course c;

	fleet_bundle(&versions[0], v1, tag1);
	fleet_rollout(v1, &plan, id);
	fleet_follow(id, good, BL_ARRAY_SIZE(good), NULL, &c);
	ck_assert_msg(c.state == BL_ROLLOUT_DONE, "it was stopped: %s",
		      c.reason);
	ck_assert_uint_eq(running(tag1), n);
	ck_assert_uint_eq(fleet_vms_with(v1), fleet.vm_count);
	printf("a good version: done on %u hosts in %.1f s\n", hosts(),
	       (double)c.took_ms / 1000);

	fleet_bundle(&versions[1], v2, tag2);
	fleet_kill_agent(n - 1);
	memcpy(fleet.agents[n - 1].bad_tag, tag2, sizeof(tag2));
	fleet_rollout(v2, &plan, id);
	fleet_follow(id, bad, BL_ARRAY_SIZE(bad), stopping, &c);
	kill_returning();
	kill_controllers();
	fleet_follow(id, NULL, 0, NULL, &c);
	ck_assert_int_eq(c.state, BL_ROLLOUT_STOPPED);
	fleet_look(id, &r);
	ck_assert_uint_gt(r.exposed, hosts() / 2);
	ck_assert_msg(strstr(r.reason, "drop") || strstr(r.reason, "lost"),
		      "it was stopped for another reason: %s", r.reason);
	ck_assert_uint_eq(running(tag1), n);
	ck_assert_uint_eq(fleet_vms_with(v1), fleet.vm_count);
	tell_halt("a bad one", &c);
	ck_assert_uint_gt(fleet.looks, 0);
}

static const struct fleet_version made_up[] = {
	{ "1", NULL, PROBATION_MS },
	{ "2", NULL, PROBATION_MS },
	{ "3", NULL, PROBATION_MS },
};

/* I6: a host that has the version and is heard of no more stops it; the others
 * go back without it, and it goes when it comes again. */
static void one_falls_silent(const struct fleet_version *version,
			     const char *old)
{
	static const struct fleet_act acts[] = { { 80, silence_one } };
	char v1[BL_KERN_TAG_LEN], v3[BL_DIGEST_HEX], tag3[BL_KERN_TAG_LEN];
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;
	unsigned left_agents = fleet.vm_count ? 0 : 1;
	unsigned left_vms = fleet.vm_count ? 1 : 0;
	struct bl_plan patient = plan;
	struct fleet_course c;
	struct fleet_halt h;

	snprintf(v1, sizeof(v1), "%s", fleet_runs(0));
	*fleet.agents[fleet.agent_count - 1].bad_tag = '\0';
	patient.silence_ms = SILENCE_MS;
	patient.waves[2].soak_ms = 10 * HOUR_MS; /* it is not done by then */
	fleet_bundle(version, v3, tag3);
	fleet_rollout(v3, &patient, id);
	fleet_follow(id, acts, BL_ARRAY_SIZE(acts), stopping, &c);
	while (running(tag3) > left_agents || fleet_vms_with(v3) > left_vms) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "%u agents and %u VMs are not back",
			      running(tag3), fleet_vms_with(v3));
		bl_clock_sleep_ms(LOOK_MS);
	}
	ck_assert_uint_eq(running(tag3), left_agents);
	ck_assert_uint_eq(fleet_vms_with(v3), left_vms);
	fleet_halted(id, &h);
	printf("all but the silent host were back %lld ms after the decision\n",
	       (long long)h.last_back_ms);
	speak_again();
	fleet_follow(id, NULL, 0, NULL, &c);
	ck_assert_int_eq(c.state, BL_ROLLOUT_STOPPED);
	/* A stop does not wait for who is silent. */
	while (running(tag3) || fleet_vms_with(v3) || !all_back()) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "the silent host is not back");
		fleet_vms_run();
		bl_clock_sleep_ms(LOOK_MS);
	}
	ck_assert_uint_eq(running(v1), fleet.agent_count);
	ck_assert_uint_eq(fleet_vms_with(old), fleet.vm_count);
	tell_halt("a host that fell silent", &c);
}

static void tell_sums(void)
{
	unsigned i;

	if (etcd.count) {
		unsigned last, n = 0;

		ck_assert_int_eq(sscanf(id, "r%u", &last), 1);
		for (i = 1; i <= last; i++) {
			bl_autofree char *one = bl_path("r%u", i);

			n += fleet_cap_held(&etcd, "fleet", one);
		}
		printf("the cap held in each of %u states of %u rollouts\n", n,
		       last);
	}
	printf("exposed and unconfirmed at a time: %u at most, the cap is %u\n",
	       fleet.max_unconfirmed, plan.cap);
	for (i = 0; i < fleet.controller_count; i++)
		printf("controller %u: %lu kB at most\n", i,
		       fleet_controller_peak_kb(i));
}

static void run(const char *store_url, unsigned controllers)
{
	unsigned agents = wanted();
	char old[BL_DIGEST_HEX];

	make_plan(agents);
	fleet_start(store_url, controllers, agents, agents);
	full_rollout_and_back(made_up, old);
	if (at_length())
		one_falls_silent(&made_up[2], old);
	tell_sums();
	fleet_end();
}

START_TEST(a_fleet_on_one_controller_goes_there_and_back)
{
	run("sqlite:", 1);
}
END_TEST

START_TEST(a_fleet_on_two_controllers_and_etcd_goes_there_and_back)
{
	bl_autofree char *url = NULL;

	etcd_start(&etcd, at_length() ? 3 : 1);
	url = etcd_url(&etcd, "fleet");
	run(url, 2);
	etcd_stop(&etcd);
}
END_TEST

START_TEST(real_hosts_go_there_and_back_with_the_others)
{
	static const struct fleet_version real[] = {
		{ "1", BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o", VM_PROBATION_MS },
		{ "2", BL_TEST_BUILD_DIR "/bpf/sensor-v3.bpf.o",
		  VM_PROBATION_MS },
		{ "3", BL_TEST_BUILD_DIR "/bpf/sensor-v3.bpf.o",
		  VM_PROBATION_MS },
	};
	unsigned agents = wanted(), vms = given("BELAY_FLEET_VMS", 0);
	const char *kernel = getenv("BELAY_FLEET_KERNEL");
	bl_autofree char *url = NULL;
	char old[BL_DIGEST_HEX];

	make_plan(agents + vms);
	etcd_start(&etcd, 3);
	url = etcd_url(&etcd, "fleet");
	fleet_start(url, 1, agents, agents);
	fleet_start_vms(&(struct fleet_vms){
		.count = vms,
		.kernel = kernel ? kernel : "6.1",
		.log_dir = BL_TEST_BUILD_DIR "/soak/fleet",
	});
	full_rollout_and_back(real, old);
	one_falls_silent(&real[2], old);
	tell_sums();
	fleet_end();
	etcd_stop(&etcd);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 3 * FLEET_PATIENCE_MS / 1000);
	tcase_add_test(t, test);
	suite_add_tcase(s, t);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("fleet");

	setvbuf(stdout, NULL, _IOLBF, 0);
	etcd_need();
	if (getenv("BELAY_FLEET_VMS")) {
		add(s, "vms", real_hosts_go_there_and_back_with_the_others);
		return s;
	}
	add(s, "one", a_fleet_on_one_controller_goes_there_and_back);
	add(s, "two", a_fleet_on_two_controllers_and_etcd_goes_there_and_back);
	return s;
}
