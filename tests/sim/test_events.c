/* SPDX-License-Identifier: Apache-2.0 */
/* The live view: a reader that goes away and comes back while others write
 * misses nothing. */
#include <stdio.h>

#include "canary/controller/events.h"
#include "canary/ledger/ledger.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/event_reader.h"
#include "tests/support/sim_fleet.h"

static struct sim s;

/* Between two readings of one bl_events_read somebody else writes. */
struct busy_store {
	struct bl_store head;
	unsigned steps;
	/* What it was asked for: how often, and what is older than that. */
	unsigned gets, lists;
	int64_t since;
};

static void others_write(struct bl_store *store)
{
	struct busy_store *b = (struct busy_store *)store;
	unsigned i;

	for (i = 0; i < b->steps; i++)
		sim_step(&s);
}

static int busy_get(struct bl_store *store, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	struct busy_store *b = (struct busy_store *)store;
	int r = bl_store_get(s.look, key, ret, err);

	b->gets++;
	others_write(store);
	return r;
}

static int busy_list(struct bl_store *store, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	struct busy_store *b = (struct busy_store *)store;
	int r = bl_store_changed(s.look, prefix, since, ret, err);

	if (!b->lists++ || since < b->since)
		b->since = since;
	others_write(store);
	return r;
}

static int busy_revision(struct bl_store *store, int64_t *ret,
			 struct bl_err *err)
{
	int r = bl_store_revision(s.look, ret, err);

	others_write(store);
	return r;
}

static const struct bl_store_ops busy_ops = { .get = busy_get,
					      .list = busy_list,
					      .revision = busy_revision };

static void read_on(struct event_reader *r, struct bl_store *store)
{
	bool more = true;

	while (more) {
		bl_autobuf struct bl_buf text = { 0 };
		int64_t until = 0;

		ck_assert_int_eq(bl_events_read(store, r->id, &text, &until,
						&more, NULL),
				 0);
		event_reader_take(r, &text);
		ck_assert_uint_eq(text.len, 0);
	}
}

/* What the reader made of it is what the store has. */
static void assert_knows_all(const struct event_reader *r)
{
	bl_autofleet struct bl_fleet f = { 0 };
	unsigned i;

	ck_assert_int_eq(bl_fleet_load(s.look, s.id, s.now_ms, &f, NULL), 0);
	ck_assert_str_eq(event_text(r->rollout, "id"), s.id);
	ck_assert_str_eq(event_text(r->rollout, "state"),
			 bl_rollout_state_name(f.rollout.state));
	ck_assert_int_eq(
		json_integer_value(json_object_get(r->rollout, "exposed")),
		f.rollout.exposed);
	for (i = 0; i < f.exposure_count; i++) {
		const struct bl_exposure *e = &f.exposures[i];
		const json_t *host = json_object_get(r->hosts, e->host);

		ck_assert_msg(host, "nothing came of host %s", e->host);
		ck_assert_str_eq(event_text(host, "rollout"), s.id);
		ck_assert_str_eq(event_text(host, "state"),
				 bl_exposure_state_name(e->state));
	}
	for (i = 0; i < f.rollout.decisions; i++) {
		char key[64];

		snprintf(key, sizeof(key), "%s/%u", s.id, i);
		ck_assert_msg(json_object_get(r->numbers, key),
			      "decision %s never came", key);
	}
}

static bool is_open(void)
{
	struct bl_rollout r = sim_read(&s);

	return bl_rollout_open(&r);
}

START_TEST(a_reader_that_comes_back_misses_nothing)
{
	static const enum sim_version versions[] = { SIM_GOOD, SIM_FAILS,
						     SIM_REBOOTS, SIM_GOOD };
	struct busy_store busy = { .head.ops = &busy_ops };
	struct event_reader r = { 0 };
	unsigned i, k, readings = 0;

	sim_start(&s, 100 + (uint64_t)_i, 8);
	s.plan.waves[0].soak_ms = 500;
	s.chaos.agent_dies = 2;
	s.chaos.other_controller = 50;
	for (i = 0; i < BL_ARRAY_SIZE(versions); i++) {
		char name[8];

		snprintf(name, sizeof(name), "v%u", i);
		sim_rollout(&s, name, versions[i]);
		/* Now and then it is away for longer, and a rollout may begin
		 * and end meanwhile. */
		for (k = 0; is_open(); k++) {
			sim_step(&s);
			busy.steps = k % 3;
			if ((k + (unsigned)_i) % 7 == 0 && i != 1) {
				read_on(&r, &busy.head);
				readings++;
			}
		}
	}
	read_on(&r, s.look);
	assert_knows_all(&r);
	ck_assert_uint_gt(readings, 10);
	event_reader_free(&r);
	sim_end(&s);
}
END_TEST

/* Polls wait for it: what was told before is not read again. */
START_TEST(a_reading_takes_no_more_than_is_new)
{
	struct busy_store busy = { .head.ops = &busy_ops };
	struct event_reader r = { 0 };
	int64_t id;

	sim_start(&s, 7, 8);
	sim_rollout(&s, "v1", SIM_GOOD);
	sim_run_ms(&s, 2000);
	read_on(&r, &busy.head);
	id = r.id;
	ck_assert_int_eq(sim_run_over(&s, 600000), BL_ROLLOUT_DONE);
	busy = (struct busy_store){ .head.ops = &busy_ops };
	read_on(&r, &busy.head);
	assert_knows_all(&r);
	ck_assert_uint_gt(busy.lists, 0);
	ck_assert_int_ge(busy.since, id);
	ck_assert_uint_eq(busy.gets, 0);
	event_reader_free(&r);
	sim_end(&s);
}
END_TEST

/* A silent host of a rollout that is over comes back while nothing happens to the
 * newest one. */
START_TEST(what_becomes_of_an_old_rollout_is_told_beside_the_newest)
{
	struct event_reader r = { 0 };
	char old[BL_ROLLOUT_ID_LEN];
	struct sim_host *quiet = NULL;
	json_t *host;
	unsigned i;

	sim_start(&s, 21, 4);
	s.plan.gone_ms = 10 * 3600000;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_KILLS);
	ck_assert_int_eq(sim_run_over(&s, 180000), BL_ROLLOUT_STOPPED);
	memcpy(old, s.id, sizeof(old));
	for (i = 0; i < s.host_count; i++)
		if (s.hosts[i].dead)
			quiet = &s.hosts[i];
	ck_assert_ptr_nonnull(quiet);
	sim_rollout(&s, "v2", SIM_GOOD);
	sim_act(&s, s.id, BL_DECISION_PAUSE);
	sim_run_ms(&s, 1000);
	read_on(&r, s.look);
	ck_assert_str_eq(event_text(r.rollout, "id"), s.id);
	quiet->dead = false;
	sim_run_ms(&s, 10000);
	read_on(&r, s.look);
	host = json_object_get(r.hosts, quiet->name);
	ck_assert_ptr_nonnull(host);
	ck_assert_str_eq(event_text(host, "rollout"), old);
	ck_assert_int_ne(strcmp(event_text(host, "state"), "silent"), 0);
	event_reader_free(&r);
	sim_end(&s);
}
END_TEST

START_TEST(an_id_of_another_store_begins_anew)
{
	struct event_reader r = { .id = 1000000 };

	sim_start(&s, 3, 2);
	sim_rollout(&s, "v1", SIM_GOOD);
	read_on(&r, s.look);
	ck_assert_ptr_nonnull(r.rollout);
	ck_assert_int_lt(r.id, 1000000);
	event_reader_free(&r);
	sim_end(&s);
	ck_assert_int_eq(bl_events_id(NULL), 0);
	ck_assert_int_eq(bl_events_id(""), 0);
	ck_assert_int_eq(bl_events_id("12x"), 0);
	ck_assert_int_eq(bl_events_id("-3"), 0);
	ck_assert_int_eq(bl_events_id("99999999999999999999"), 0);
	ck_assert_int_eq(bl_events_id("42"), 42);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("events");
	TCase *t = tcase_create("events");

	tcase_add_loop_test(t, a_reader_that_comes_back_misses_nothing, 0, 5);
	tcase_add_test(t, a_reading_takes_no_more_than_is_new);
	tcase_add_test(
		t, what_becomes_of_an_old_rollout_is_told_beside_the_newest);
	tcase_add_test(t, an_id_of_another_store_begins_anew);
	suite_add_tcase(suite, t);
	return suite;
}
