/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways B and C, which differ in what is rolled out and in nothing else: the
 * gate is asked, and then, whatever it said, the version is given to the
 * controller of a fleet whose agents do the rest.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/compare/run.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

#define START_MS   900000 /* for a fleet to come up, with its first version */
#define HEAL_MS	   60000  /* for a kept one to be as it was */
#define ROLLOUT_MS 900000 /* for a rollout to be over */
#define SETTLE_MS  60000  /* then for its hosts to be well */
#define STAY_MS	   10000  /* and to stay so, if they kept the version */
#define TELL_MS	   200000 /* and to say what became of it */
#define ASK_MS	   300	  /* between two questions to the controller */

static struct bl_control *controller(const struct bl_run *run)
{
	return run->runner->kept[run->way].control;
}

/* --- what the controller says --------------------------------------------- */

static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

static bool is_due(struct bl_run *run)
{
	uint64_t now = bl_clock_mono_ms();

	if (now - run->asked.at_ms < ASK_MS)
		return false;
	run->asked.at_ms = now;
	return true;
}

/* What is said of host @i in a list of hosts; NULL: nothing. */
static const json_t *find_host(const struct bl_run *run, const json_t *hosts,
			       size_t i)
{
	for (size_t k = 0; k < json_array_size(hosts); k++) {
		const json_t *h = json_array_get(hosts, k);

		if (strcmp(text_of(h, "name"), run->watch.seen[i].name) == 0)
			return h;
	}
	return NULL;
}

static void read_host(struct bl_run *run, size_t i, const json_t *h)
{
	struct bl_observed_host *seen = &run->watch.seen[i];
	const char *state = text_of(h, "state"), *why = text_of(h, "reason");

	bl_text_copy(seen->live, sizeof(seen->live), text_of(h, "live"));
	if (json_integer_value(json_object_get(h, "wave")) > 0)
		seen->exposed = true;
	if (strcmp(state, "trial") == 0)
		run->asked.trial = seen->tried = true;
	if (strcmp(state, run->asked.state[i]) == 0)
		return;
	bl_text_copy(run->asked.state[i], sizeof(run->asked.state[i]), state);
	if (strcmp(state, "waiting") != 0)
		bl_watch_say(&run->watch, i, "%s%s%s", state, *why ? ": " : "",
			     why);
}

/* Asks how the rollout is; an answer that does not come is asked for again. */
static void ask_rollout(struct bl_run *run)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *state, *reason;

	if (bl_control_status(controller(run), run->asked.id, &doc, NULL) < 0)
		return;
	for (size_t i = 0; i < run->watch.count; i++) {
		const json_t *h =
			find_host(run, json_object_get(doc.root, "hosts"), i);

		if (h)
			read_host(run, i, h);
	}
	state = text_of(doc.root, "state");
	reason = text_of(doc.root, "reason");
	run->asked.done = strcmp(state, "done") == 0;
	if (run->asked.over ||
	    !(run->asked.done || strcmp(state, "stopped") == 0 ||
	      strcmp(state, "aborted") == 0))
		return;
	run->asked.over = true;
	bl_watch_say(&run->watch, run->watch.count, "the rollout is %s%s%s",
		     state, *reason ? ": " : "", reason);
}

static bool is_over(struct bl_run *run)
{
	if (is_due(run))
		ask_rollout(run);
	return run->asked.over;
}

static bool is_tried(struct bl_run *run)
{
	return is_over(run) || run->asked.trial;
}

static bool never(struct bl_run *run)
{
	(void)run;
	return false;
}

/* All that are not given up can be used, and run what they are to run. */
static bool look_well(struct bl_run *run)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_watch *w = &run->watch;

	if (bl_control_hosts(controller(run), &doc, NULL) < 0)
		return false;
	for (size_t i = 0; i < w->count; i++) {
		const json_t *h =
			find_host(run, json_object_get(doc.root, "hosts"), i);

		bl_text_copy(w->seen[i].live, sizeof(w->seen[i].live),
			     h ? text_of(h, "live") : "");
	}
	for (size_t i = 0; i < w->count; i++)
		if (!w->seen[i].dead &&
		    (!w->host[i].beats || w->host[i].bad ||
		     !bl_observed_up(&w->seen[i], bl_watch_now(w)) ||
		     strcmp(w->seen[i].live, run->asked.want) != 0))
			return false;
	return true;
}

/* And have been for as long as it takes to see that one is not. */
static bool are_well(struct bl_run *run)
{
	uint64_t now = bl_clock_mono_ms();

	if (!is_due(run))
		return false;
	if (!look_well(run))
		run->asked.well_ms = 0;
	else if (!run->asked.well_ms)
		run->asked.well_ms = now;
	return run->asked.well_ms &&
	       now - run->asked.well_ms > BL_OBSERVED_GAP_MS;
}

/* Whoever tried it has said what came of that. */
static bool have_told(struct bl_run *run)
{
	for (size_t i = 0; i < run->watch.count; i++)
		if (run->watch.seen[i].tried && !run->watch.seen[i].told)
			return false;
	return true;
}

/* --- the fleet ------------------------------------------------------------ */

static int make_fleet(struct bl_run *run, struct bl_err *err)
{
	struct bl_kept *k = &run->runner->kept[run->way];
	const char *way = bl_compare_way_name(run->way);
	bl_autofree char *dir = bl_path("%s/%s", run->runner->work, way);
	bl_autofree char *store =
		bl_path("%s/%s.control", run->runner->work, way);
	struct bl_guests_spec spec = {
		.kernel = run->runner->kernel,
		.way = run->way,
		.count = BL_RUN_HOSTS,
		.dir = dir,
		.life = run->fault->inject == BL_INJECT_AGENT_LOOP
				? "agent-loop"
				: NULL,
		.files = { { run->good.path, "/c/v1.bundle" } },
		.file_count = 1,
	};
	int r = dir && store ? bl_file_rmtree(store, err)
			     : bl_err_set(err, -ENOMEM, "out of memory");

	if (!r)
		r = bl_file_mkdirs(store, 0755, err);
	if (!r)
		r = bl_control_start(store, &k->control, err);
	if (r)
		return r;
	memcpy(k->digest, run->good.digest, sizeof(k->digest));
	spec.port = bl_control_port(k->control);
	bl_run_say(run, "boots");
	r = bl_guests_start(&spec, &k->guests, err);
	if (r)
		return r;
	bl_watch_begin(&run->watch, k->guests, run->result, run->bad.digest);
	r = bl_run_until(run, are_well, START_MS, err);
	return r > 0 ? bl_err_set(err, -ETIME,
				  "the fleet did not come up with version 1")
		     : r;
}

/* The kept fleet as it was: 0; 1: it cannot be had. */
static int heal_fleet(struct bl_run *run, struct bl_err *err)
{
	struct bl_kept *k = &run->runner->kept[run->way];
	int r = 0;

	bl_watch_begin(&run->watch, k->guests, run->result, run->bad.digest);
	if (*k->rollout && bl_control_abort(k->control, k->rollout, NULL) < 0)
		return 1;
	if (*k->rollout) {
		bl_run_say(run, "takes the last version back");
		r = bl_run_until(run, are_well, HEAL_MS, err);
	}
	k->rollout[0] = '\0';
	for (size_t i = 0; !r && i < run->watch.count; i++) {
		if (k->tainted[i])
			bl_watch_cut(&run->watch, i);
		k->tainted[i] = false;
	}
	run->asked.well_ms = 0;
	return r ? r : bl_run_until(run, are_well, HEAL_MS, err);
}

static int have_fleet(struct bl_run *run, struct bl_err *err)
{
	struct bl_kept *k = &run->runner->kept[run->way];
	int r = 1;

	run->asked = (struct bl_run_asked){ .want = run->good.digest };
	if (run->fault->inject == BL_INJECT_AGENT_LOOP ||
	    strcmp(k->digest, run->good.digest) != 0)
		bl_kept_free(k);
	if (k->guests)
		r = heal_fleet(run, err);
	if (r <= 0)
		return r;
	bl_watch_free(&run->watch);
	bl_kept_free(k);
	return make_fleet(run, err);
}

/* Whether the next run may have it. */
static void keep_fleet(struct bl_run *run)
{
	struct bl_kept *k = &run->runner->kept[run->way];
	bool well = run->fault->inject != BL_INJECT_AGENT_LOOP;

	for (size_t i = 0; i < run->watch.count; i++) {
		const struct bl_observed_host *h = &run->watch.seen[i];

		well = well && !h->dead &&
		       bl_observed_up(h, bl_watch_now(&run->watch));
		k->tainted[i] = run->way == BL_COMPARE_B && h->txn.staged &&
				h->panics + h->resets + h->cuts == 0;
	}
	if (!well)
		bl_kept_free(k);
}

/* --- the run -------------------------------------------------------------- */

/* Cuts the power of the first host that tries the version. */
static int cut_in_trial(struct bl_run *run, struct bl_err *err)
{
	int r = bl_run_until(run, is_tried, ROLLOUT_MS, err);

	if (r < 0)
		return r;
	for (size_t i = 0; !r && i < run->watch.count; i++)
		if (run->watch.seen[i].exposed) {
			bl_watch_cut(&run->watch, i);
			return 0;
		}
	return bl_err_set(err, -ETIME,
			  "no host came to try it, so no power was cut");
}

/* Starts a rollout of @v and follows it to its end; 1: it was not begun. */
static int roll_out(struct bl_run *run, const struct bl_variant *v,
		    struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r;

	run->asked = (struct bl_run_asked){ .want = run->good.digest };
	r = bl_control_rollout(controller(run), v, run->asked.id, &why);
	if (r > 0) {
		bl_watch_say(&run->watch, run->watch.count,
			     "the controller does not take it: %s", why.text);
		return 1;
	}
	if (r < 0)
		return bl_err_set(err, r, "%s", why.text);
	bl_watch_say(&run->watch, run->watch.count, "rollout %s of %s",
		     run->asked.id, v->version);
	if (run->fault->inject == BL_INJECT_POWER_CUT)
		r = cut_in_trial(run, err);
	if (!r)
		r = bl_run_until(run, is_over, ROLLOUT_MS, err);
	/* Who does not know how it ended has nothing to judge. */
	return r > 0 ? bl_err_set(err, -ETIME, "rollout %s did not end in %d s",
				  run->asked.id, ROLLOUT_MS / 1000)
		     : r;
}

/* Without its journal nobody knows what stopped it there. */
static int hear_out(struct bl_run *run, struct bl_err *err)
{
	int r = bl_run_until(run, have_told, TELL_MS, err);

	return r > 0 ? bl_err_set(
			       err, -ETIME,
			       "a host that tried it did not tell its journal within %d s",
			       TELL_MS / 1000)
		     : r;
}

/* Until hosts are as they are going to be. */
static int settle(struct bl_run *run, const char *want, struct bl_err *err)
{
	int r;

	run->asked.want = want;
	run->asked.well_ms = 0;
	bl_run_say(run, "is over; its hosts settle");
	r = bl_run_until(run, are_well, SETTLE_MS, err);
	if (!r)
		r = hear_out(run, err);
	return r < 0 ? r : 0;
}

/* The exchange of a version that everybody kept for the next good one. */
static int exchange(struct bl_run *run, struct bl_err *err)
{
	BL_CLEANUP(bl_variant_free) struct bl_variant next = { 0 };
	int r = bl_run_good(run, "3", &next, err);

	if (!r)
		r = roll_out(run, &next, err);
	if (r > 0)
		r = 0;
	return r ? r
		 : settle(run, run->asked.done ? next.digest : run->bad.digest,
			  err);
}

static void forget(struct bl_observed_host *h)
{
	h->exposed = h->tried = h->told = false;
}

/* The version failed here before, and everybody knows. */
static int fail_before(struct bl_run *run, struct bl_err *err)
{
	int r;

	bl_run_say(run, "fails for the first time");
	r = roll_out(run, &run->bad, err);
	if (r >= 0)
		r = settle(run, run->good.digest, err);
	for (size_t i = 0; i < run->watch.count; i++)
		forget(&run->watch.seen[i]);
	return r;
}

/* What belay itself has on record about a host that went down. */
static int keep_blame(struct bl_run *run, struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < run->watch.count; i++) {
		const struct bl_observed_host *h = &run->watch.seen[i];
		bl_autofree char *text = bl_path(
			"history: %s: %s", h->txn.attribution, h->txn.reason);

		if (*h->txn.attribution)
			r = text ? bl_compare_evidence(run->result, h->name,
						       text)
				 : -ENOMEM;
	}
	return r ? bl_err_set(err, r, "out of memory") : 0;
}

static void name_versions(struct bl_run *run)
{
	for (size_t i = 0; i < run->watch.count; i++) {
		struct bl_observed_host *h = &run->watch.seen[i];
		const char *name = h->live;

		if (strcmp(h->live, run->good.digest) == 0)
			name = run->good.version;
		else if (strcmp(h->live, run->bad.digest) == 0)
			name = run->bad.version;
		snprintf(h->version, sizeof(h->version), "%.40s", name);
	}
}

static int observe(struct bl_run *run, struct bl_err *err)
{
	struct bl_kept *k = &run->runner->kept[run->way];
	int r = roll_out(run, &run->bad, err);

	if (r < 0)
		return r;
	run->judged.refused = r > 0;
	run->judged.stopped = !run->judged.refused && run->asked.over &&
			      !run->asked.done;
	if (run->asked.done)
		snprintf(k->rollout, sizeof(k->rollout), "%s", run->asked.id);
	r = settle(run, run->asked.done ? run->bad.digest : run->good.digest,
		   err);
	if (!r && run->asked.done && run->twin->unload)
		r = exchange(run, err);
	if (!r && run->asked.done)
		r = bl_run_until(run, never, STAY_MS, err);
	return r < 0 ? r : 0;
}

int bl_run_kept(struct bl_run *run, struct bl_err *err)
{
	int r = have_fleet(run, err);

	if (!r)
		r = bl_run_gate(run, err);
	if (!r && run->fault->inject == BL_INJECT_TOMBSTONED)
		r = fail_before(run, err);
	if (r)
		return r;
	bl_run_say(run, "is rolled out past the gate");
	bl_watch_push(&run->watch);
	r = observe(run, err);
	if (r)
		return r;
	name_versions(run);
	keep_fleet(run);
	return keep_blame(run, err);
}
