/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/sim_fleet.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/api.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "tests/support/sim_own.h"

#define TRIAL_MS    2000
#define ROLLBACK_MS 300
#define POLL_MS	    1000

uint64_t sim_rnd(struct sim *s)
{
	/* xorshift64*: the same seed, the same accidents. */
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return s->random * 2685821657736338717ULL;
}

bool sim_chance(struct sim *s, unsigned per_mille)
{
	return per_mille && (sim_rnd(s) >> 33) % 1000 < per_mille;
}

void sim_digest(const char *name, char ret[static BL_DIGEST_HEX])
{
	ck_assert_int_eq(bl_digest(name, strlen(name), ret), 0);
}

/* A controller's life is over: what it remembered is gone. */
static void forget(struct sim *s, unsigned controller)
{
	bl_polls_close(s->polls[controller]);
	ck_assert_int_eq(bl_polls_open(s->store, &s->polls[controller], NULL),
			 0);
	s->killed = false;
}

static void boot_agent(struct sim *s, struct sim_host *h)
{
	struct bl_agent *a = &h->agent;
	const char *reason = "";

	*a = (struct bl_agent){ 0 };
	h->lives++;
	snprintf(a->poll.boot, sizeof(a->poll.boot), "%s-boot%u", h->name,
		 h->boots);
	snprintf(a->poll.session, sizeof(a->poll.session), "%s-life%u", h->name,
		 h->lives);
	bl_text_copy(a->poll.kernel, sizeof(a->poll.kernel), "6.1.0-sim");
	bl_text_copy(a->poll.role, sizeof(a->poll.role), h->role);
	/* The host's own recovery: an open trial is rolled back. */
	if (*h->trial) {
		*h->trial = '\0';
		reason = "recovered: the host went down in the trial";
	}
	bl_text_copy(a->poll.live, sizeof(a->poll.live), h->live);
	if (h->record)
		ck_assert_int_eq(bl_agent_restore(a, h->record,
						  strlen(h->record), h->live,
						  reason, NULL),
				 0);
	h->up = true;
	h->poll_at_ms = s->now_ms + (int64_t)(sim_rnd(s) % POLL_MS);
}

void sim_kill_agent(struct sim *s, struct sim_host *h, bool reboot,
		    int64_t down_ms)
{
	h->up = false;
	h->up_at_ms = s->now_ms + down_ms;
	h->boots += reboot;
}

void sim_add_host(struct sim *s)
{
	struct sim_host *h = &s->hosts[s->host_count++];

	ck_assert_uint_le(s->host_count, SIM_HOSTS_MAX);
	snprintf(h->name, sizeof(h->name), "web-%02u", s->host_count);
	memcpy(h->live, s->old, sizeof(h->live));
	boot_agent(s, h);
}

void sim_start(struct sim *s, uint64_t seed, unsigned hosts)
{
	struct bl_store *store = NULL;

	ck_assert_int_eq(bl_store_open("sqlite::memory:", &store, NULL), 0);
	sim_start_on(s, seed, hosts, store, store);
}

void sim_start_on(struct sim *s, uint64_t seed, unsigned hosts,
		  struct bl_store *store, struct bl_store *look)
{
	*s = (struct sim){ .now_ms = 1000000, .random = seed * 2 + 1 };
	sim_rnd(s);
	s->store = sim_wild_store(s);
	ck_assert_ptr_nonnull(s->store);
	s->store_under = store;
	s->look = look;
	for (unsigned i = 0; i < BL_ARRAY_SIZE(s->polls); i++)
		forget(s, i);
	bl_plan_default(&s->plan);
	s->plan.silence_ms = 10000;
	s->plan.trial_ms = 20000;
	for (unsigned i = 0; i < BL_PLAN_WAVES_MAX; i++)
		s->plan.waves[i].soak_ms = 3000;
	sim_digest("old", s->old);
	while (hosts--)
		sim_add_host(s);
}

void sim_end(struct sim *s)
{
	unsigned i;

	for (i = 0; i < s->host_count; i++) {
		free(s->hosts[i].record);
		bl_buf_free(&s->hosts[i].late);
	}
	for (i = 0; i < BL_ARRAY_SIZE(s->polls); i++)
		bl_polls_close(s->polls[i]);
	bl_fleet_free(&s->fleet);
	bl_store_close(s->store);
	if (s->look != s->store_under)
		bl_store_close(s->look);
	bl_store_close(s->store_under);
}

unsigned sim_request(struct sim *s, const char *method, const char *path,
		     const char *body, struct bl_buf *ret_body)
{
	struct bl_request q = { .method = method,
				.path = path,
				.content_type = "application/json",
				.body = body,
				.len = body ? strlen(body) : 0 };
	unsigned controller = s->inside ? 2 : (unsigned)(sim_rnd(s) >> 33) % 2;
	struct bl_response a;

	q.polls = s->polls[controller];
	bl_api_handle(s->store, &q, s->now_ms, &a);
	if (s->killed)
		forget(s, controller);
	if (ret_body)
		*ret_body = a.body;
	else
		bl_buf_free(&a.body);
	return a.status;
}

/* What the version is to this host. */
static enum sim_version version_on(const struct sim *s,
				   const struct sim_host *h)
{
	return s->only && strcmp(s->only, h->role) != 0 ? SIM_GOOD : s->version;
}

/* The record is durable before an apply is begun. */
static void begin(struct sim *s, struct sim_host *h, enum bl_agent_do task)
{
	struct bl_agent *a = &h->agent;

	if (task == BL_AGENT_NOTHING)
		return;
	if (task == BL_AGENT_ROLLBACK) {
		h->work_ends_ms = s->now_ms + ROLLBACK_MS;
		return;
	}
	free(h->record);
	h->record = bl_agent_record(a);
	memcpy(h->trial, a->order.digest, sizeof(h->trial));
	h->work_ends_ms = s->now_ms + TRIAL_MS;
	if (strcmp(h->trial, s->digest) != 0)
		return;
	h->trials++;
	/* I7, first half: nobody tries what the ledger does not know. */
	if (!s->look_away)
		sim_exposure(s, h->name);
	if (version_on(s, h) == SIM_REBOOTS)
		sim_kill_agent(s, h, true, 3000);
	if (version_on(s, h) == SIM_KILLS) {
		h->up = false;
		h->dead = true;
	}
}

static void finish(struct sim *s, struct sim_host *h)
{
	struct bl_agent *a = &h->agent;
	enum bl_agent_end end = BL_AGENT_DONE;
	const char *reason = "";
	bool bad = strcmp(h->trial, s->digest) == 0 &&
		   version_on(s, h) == SIM_FAILS;
	bool unclear = strcmp(h->trial, s->digest) == 0 &&
		       version_on(s, h) == SIM_UNDECIDED;

	if (a->busy == BL_AGENT_ROLLBACK) {
		memcpy(h->live, h->previous, sizeof(h->live));
		*h->previous = '\0';
	} else if (a->stop_trial || bad || unclear) {
		end = a->stop_trial || bad ? BL_AGENT_FAILED
					   : BL_AGENT_UNDECIDED;
		reason = bad	   ? "drops above the limit"
			 : unclear ? "the probe 'curl' is not there"
				   : "told to go back";
		*h->trial = '\0';
	} else {
		memcpy(h->previous, h->live, sizeof(h->live));
		memcpy(h->live, h->trial, sizeof(h->live));
		*h->trial = '\0';
		if (version_on(s, h) == SIM_KILLS_LATE &&
		    strcmp(h->live, s->digest) == 0)
			h->dies_ms = s->now_ms + 1500;
	}
	begin(s, h, bl_agent_finish(a, end, reason, h->live));
	free(h->record);
	h->record = bl_agent_record(a);
}

static bool deliver(struct sim *s, struct sim_host *h, const char *body,
		    struct bl_buf *ret_answer)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", h->name);

	if (s->controller_down || h->mute)
		return false;
	if (sim_request(s, "POST", path, body, ret_answer) != 200)
		return false;
	h->heard_ms = s->now_ms;
	return true;
}

/* No two hosts are alike. */
static void measure(const struct sim *s, const struct sim_host *h,
		    struct bl_poll *poll)
{
	bool has_it = strcmp(h->live, s->digest) == 0;
	double own = s->memory * (1 + 0.01 * (double)(h - s->hosts));

	if (s->memory <= 0)
		return;
	poll->metrics.known = 1u << BL_GUARD_MEMORY;
	poll->metrics.value[BL_GUARD_MEMORY] =
		has_it && s->hungry > 0 ? own * s->hungry : own;
}

void sim_poll_host(struct sim *s, struct sim_host *h)
{
	bl_autobuf struct bl_buf answer = { 0 };
	bl_autofree char *body = NULL;
	struct bl_order order;
	struct bl_poll poll;
	unsigned life = h->lives;
	bool good;

	if (!h->up)
		return;
	bl_agent_poll(&h->agent, &poll);
	measure(s, h, &poll);
	body = bl_json_dump(bl_poll_json(&poll));
	ck_assert_ptr_nonnull(body);
	if (sim_chance(s, s->chaos.lose_request))
		return;
	if (sim_chance(s, s->chaos.late) && !h->late.len) {
		bl_buf_add(&h->late, body, strlen(body));
		return;
	}
	good = deliver(s, h, body, &answer);
	if (sim_chance(s, s->chaos.duplicate))
		deliver(s, h, body, NULL);
	if (!good || sim_chance(s, s->chaos.lose_answer) || h->lives != life)
		return;
	ck_assert_int_eq(bl_order_parse(answer.data, answer.len, &order, NULL),
			 0);
	begin(s, h, bl_agent_take(&h->agent, &order));
}

static void step_host(struct sim *s, struct sim_host *h)
{
	if (h->dead)
		return;
	if (!h->up) {
		if (s->now_ms >= h->up_at_ms)
			boot_agent(s, h);
		return;
	}
	if (h->dies_ms && s->now_ms >= h->dies_ms) {
		h->up = false;
		h->dead = true;
		return;
	}
	if (sim_chance(s, s->chaos.agent_dies)) {
		sim_kill_agent(s, h, sim_chance(s, 300),
			       (int64_t)(sim_rnd(s) % 4000));
		return;
	}
	if (h->agent.busy != BL_AGENT_NOTHING &&
	    (s->now_ms >= h->work_ends_ms || h->agent.stop_trial))
		finish(s, h);
	if (h->late.len && sim_chance(s, 100)) {
		bl_autobuf struct bl_buf late = h->late;

		h->late = (struct bl_buf){ 0 };
		deliver(s, h, late.data, NULL);
	}
	if (s->now_ms >= h->poll_at_ms) {
		h->poll_at_ms = s->now_ms + POLL_MS * 9 / 10 +
				(int64_t)(sim_rnd(s) % (POLL_MS / 5));
		sim_poll_host(s, h);
	}
}

struct bl_rollout sim_read(struct sim *s)
{
	struct bl_rollout r;
	int64_t revision;

	ck_assert_int_eq(bl_fleet_rollout(s->look, s->id, &r, &revision, NULL),
			 0);
	return r;
}

enum bl_exposure_state sim_exposure(struct sim *s, const char *host)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	struct bl_exposure e;
	char key[128];

	snprintf(key, sizeof(key), "exposure/%s/%s", s->id, host);
	ck_assert_msg(bl_store_get(s->look, key, &item, NULL) == 0,
		      "I7: host %s has version %s and no exposure is written",
		      host, s->id);
	ck_assert_int_eq(bl_exposure_read(&item, &e, NULL), 0);
	return e.state;
}

/* I6: who could not judge it is known as that, and nobody new got it before the
 * rollout was held for that. */
static void assert_held(const struct bl_fleet *f)
{
	const struct bl_rollout *r = &f->rollout;
	int64_t newest_ms = 0;
	unsigned undecided = 0;
	size_t i;

	for (i = 0; i < f->exposure_count; i++) {
		const struct bl_exposure *e = &f->exposures[i];

		if (e->state != BL_EXPOSURE_UNDECIDED)
			continue;
		undecided++;
		if (e->changed_ms > newest_ms)
			newest_ms = e->changed_ms;
	}
	ck_assert_uint_eq(undecided, r->undecided);
	ck_assert_uint_le(r->held, r->undecided);
	ck_assert(r->state != BL_ROLLOUT_DONE || r->held == r->undecided);
	for (i = 0; r->held < r->undecided && i < f->exposure_count; i++)
		ck_assert_msg(f->exposures[i].exposed_ms <= newest_ms,
			      "I6: host %s was exposed beside an undecided one",
			      f->exposures[i].host);
}

/* The sums that the ledger keeps are what recounting gives (I7), and nobody
 * who may still be in a trial is missing from them. */
static void assert_ledger(struct sim *s)
{
	bl_autofleet struct bl_fleet f = { 0 };
	unsigned counted = 0, strata = 0;
	size_t i;

	ck_assert_int_eq(bl_fleet_load(s->look, s->id, s->now_ms, &f, NULL), 0);
	for (i = 0; i < f.exposure_count; i++) {
		counted += f.exposures[i].counted;
		ck_assert_msg(!f.rollout.paused_ms ||
				      f.exposures[i].exposed_ms <=
					      f.rollout.paused_ms,
			      "host %s was exposed while it was paused",
			      f.exposures[i].host);
	}
	assert_held(&f);
	for (i = 0; i < f.view.stratum_count; i++)
		strata += bl_tally_exposed(&f.view.strata[i]);
	ck_assert_uint_eq(strata + f.rollout.undecided, f.rollout.exposed);
	ck_assert_uint_eq(counted, f.rollout.unconfirmed);
	ck_assert_uint_eq(f.exposure_count, f.rollout.exposed);
	ck_assert_msg(counted <= f.rollout.plan.cap,
		      "I7: %u hosts are exposed and unconfirmed, the cap is %u",
		      counted, f.rollout.plan.cap);
	if (counted > s->max_unconfirmed)
		s->max_unconfirmed = counted;
	for (i = 0; i < s->host_count; i++) {
		struct sim_host *h = &s->hosts[i];
		struct bl_exposure *e = bl_fleet_exposure_find(&f, h->name);

		if (strcmp(h->trial, s->digest) != 0)
			continue;
		ck_assert_ptr_nonnull(e);
		/* A dead agent's trial is nothing until it boots again. */
		ck_assert_msg(!h->up || e->counted,
			      "I7: host %s is in a trial that is not counted",
			      h->name);
	}
	if (f.rollout.state != BL_ROLLOUT_DONE ||
	    f.rollout.plan.p0_percent > 0) /* some may be bad, and known so */
		return;
	for (i = 0; i < f.exposure_count; i++)
		ck_assert_msg(
			f.exposures[i].state == BL_EXPOSURE_COMMITTED ||
				f.exposures[i].state == BL_EXPOSURE_UNDECIDED,
			"I6: done, and host %s is %s", f.exposures[i].host,
			bl_exposure_state_name(f.exposures[i].state));
}

/* I6: nobody who ran the version and fell silent is passed over. */
static void assert_silence(struct sim *s)
{
	struct bl_rollout r = sim_read(s);
	unsigned i;

	if (r.state != BL_ROLLOUT_RUNNING || s->controller_down ||
	    s->chaos.store_dies_before)
		return;
	for (i = 0; i < s->host_count; i++) {
		struct sim_host *h = &s->hosts[i];

		if (!h->dead || !h->trials)
			continue;
		ck_assert_msg(
			s->now_ms - h->heard_ms < 2 * r.plan.silence_ms,
			"I6: host %s is silent for %lld ms and it runs on",
			h->name, (long long)(s->now_ms - h->heard_ms));
	}
}

static void tick(struct sim *s)
{
	unsigned i;

	for (i = 0; i < BL_ARRAY_SIZE(s->polls); i++) {
		/* Those that get in have a memory in common. */
		s->inside = i == BL_ARRAY_SIZE(s->polls) - 1;
		bl_polls_flush(s->polls[i], s->now_ms, false, NULL);
		s->inside = false;
		if (s->killed)
			forget(s, i);
	}
	bl_controller_tick_again(s->store, &s->fleet, s->now_ms, NULL);
	if (s->killed)
		bl_fleet_free(&s->fleet);
	s->killed = false;
}

void sim_step(struct sim *s)
{
	int64_t revision;
	unsigned i;

	s->now_ms += SIM_STEP_MS;
	for (i = 0; s->controller_down && i < BL_ARRAY_SIZE(s->polls); i++)
		forget(s, i);
	for (i = 0; i < s->host_count; i++)
		step_host(s, &s->hosts[i]);
	if (!s->controller_down && !s->no_ticks && s->now_ms >= s->tick_at_ms) {
		s->tick_at_ms = s->now_ms + BL_TICK_MS;
		tick(s);
	}
	if (!*s->id || s->look_away)
		return;
	/* Only what was written can have broken the ledger. */
	ck_assert_int_eq(bl_store_revision(s->look, &revision, NULL), 0);
	if (revision != s->asserted)
		assert_ledger(s);
	s->asserted = revision;
	assert_silence(s);
}

void sim_run_ms(struct sim *s, int64_t ms)
{
	int64_t end_ms = s->now_ms + ms;

	while (s->now_ms < end_ms)
		sim_step(s);
}

enum bl_rollout_state sim_run_over(struct sim *s, int64_t ms)
{
	int64_t end_ms = s->now_ms + ms;
	struct bl_rollout r = sim_read(s);

	while (s->now_ms < end_ms && (r.state == BL_ROLLOUT_RUNNING ||
				      r.state == BL_ROLLOUT_STOPPING ||
				      r.state == BL_ROLLOUT_ABORTING)) {
		sim_step(s);
		r = sim_read(s);
	}
	return r.state;
}

void sim_rollout(struct sim *s, const char *name, enum sim_version version)
{
	struct bl_bundle bundle = { 0 };
	struct bl_start start = { .digest = s->digest,
				  .plan = s->plan,
				  .override_reason = "" };
	unsigned i;

	sim_digest(name, s->digest);
	s->version = version;
	s->max_unconfirmed = 0;
	for (i = 0; i < s->host_count; i++)
		s->hosts[i].trials = 0;
	memcpy(bundle.digest, s->digest, sizeof(bundle.digest));
	bl_text_copy(bundle.manifest.name, sizeof(bundle.manifest.name), name);
	bl_text_copy(bundle.manifest.version, sizeof(bundle.manifest.version),
		     "1");
	ck_assert_int_eq(bl_buf_add(&bundle.raw, name, strlen(name)), 0);
	ck_assert_int_eq(bl_controller_store_bundle(s->store_under, &bundle,
						    s->now_ms, NULL),
			 0);
	bl_bundle_free(&bundle);
	ck_assert_int_eq(bl_controller_start(s->store_under, &start, s->now_ms,
					     s->id, NULL),
			 0);
}

int sim_act(struct sim *s, const char *id, enum bl_decision_kind kind)
{
	const struct bl_act act = { kind, "alice", "sim" };

	return bl_controller_act(s->store_under, id, &act, s->now_ms, NULL);
}

void sim_abort(struct sim *s)
{
	ck_assert_int_eq(sim_act(s, s->id, BL_DECISION_ABORT), 0);
}

unsigned sim_running(const struct sim *s)
{
	unsigned i, n = 0;

	for (i = 0; i < s->host_count; i++)
		n += strcmp(s->hosts[i].live, s->digest) == 0;
	return n;
}

unsigned sim_tried(const struct sim *s)
{
	unsigned i, n = 0;

	for (i = 0; i < s->host_count; i++)
		n += s->hosts[i].trials > 0;
	return n;
}
