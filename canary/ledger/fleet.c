/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/ledger.h"
#include "loader/base/cleanup.h"

int bl_fleet_get(struct bl_store *store, struct bl_store_item *ret,
		 struct bl_err *err, const char *prefix, const char *name)
{
	char key[BL_STORE_KEY_MAX + 1];
	struct bl_err e = { 0 };
	int r;

	snprintf(key, sizeof(key), "%s%s", prefix, name);
	r = bl_store_get(store, key, ret, &e);
	if (r == -ENOENT) {
		*ret = (struct bl_store_item){ 0 };
		return 0;
	}
	if (r < 0 && err)
		*err = e;
	return r;
}

int bl_fleet_active(struct bl_store *store,
		    char ret_id[static BL_ROLLOUT_ID_LEN], struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	int r = bl_fleet_get(store, &item, err, "fleet/", "active");
	const char *s = bl_buf_str(&item.value);

	if (r < 0)
		return r;
	/* Written as a JSON string, like all values. */
	ret_id[0] = '\0';
	if (item.revision)
		sscanf(s, "\"%23[a-z0-9]\"", ret_id);
	return 0;
}

static int no_rollout(const char *id, struct bl_err *err)
{
	bl_err_set(err, -ENOENT, "there is no rollout %s", id);
	bl_err_hint(err, "'belay rollout list' shows them");
	return -ENOENT;
}

int bl_fleet_rollout(struct bl_store *store, const char *id,
		     struct bl_rollout *ret, int64_t *ret_revision,
		     struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	int r = bl_fleet_get(store, &item, err, "rollout/", id);

	if (r < 0)
		return r;
	if (!item.revision)
		return no_rollout(id, err);
	*ret_revision = item.revision;
	return bl_rollout_read(&item, ret, err);
}

const struct bl_fleet_host *bl_fleet_host_find(const struct bl_fleet *f,
					       const char *name,
					       int64_t *ret_revision)
{
	size_t low = 0, high = f->host_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, f->hosts[mid].name);

		if (c == 0) {
			if (ret_revision)
				*ret_revision = f->host_revisions[mid];
			return &f->hosts[mid];
		}
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

struct bl_exposure *bl_fleet_exposure_find(const struct bl_fleet *f,
					   const char *name)
{
	size_t low = 0, high = f->exposure_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, f->exposures[mid].host);

		if (c == 0)
			return &f->exposures[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

enum standing {
	STANDING_WAITING,
	STANDING_ALREADY,
	STANDING_GONE,
	STANDING_LEFT_OUT,
};

/* How a host that is not exposed stands to the rollout. */
static enum standing standing(const struct bl_fleet *f,
			      const struct bl_fleet_host *h)
{
	int64_t heard = h->heard_ms, now = f->view.now_ms;

	if (strcmp(h->live, f->rollout.digest) == 0)
		return STANDING_ALREADY;
	if (bl_plan_names_has(&f->rollout.plan, &f->rollout.plan.left_out,
			      h->name))
		return STANDING_LEFT_OUT;
	/* As with silence: nobody is gone while nobody listened. */
	if (heard > now || heard < f->listening.since_ms)
		heard = f->listening.since_ms;
	return now - heard > f->rollout.plan.gone_ms ? STANDING_GONE
						     : STANDING_WAITING;
}

/* The sums of the record; those that wait are added one by one. */
static int begin_tallies(struct bl_fleet *f, struct bl_err *err)
{
	const struct bl_rollout *r = &f->rollout;
	struct bl_tallies *t = calloc(1, sizeof(*t));

	free(f->tallies);
	f->tallies = t;
	if (!t)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (; t->count < r->stratum_count; t->count++) {
		const struct bl_stratum *s = &r->strata[t->count];

		t->keys[t->count] = s->key;
		t->sums[t->count] = (struct bl_tally){
			.name = t->names[t->count],
			.open = s->exposed - s->good - s->bad,
			.good = s->good,
			.bad = s->bad,
		};
	}
	/* A rollout that an older belay began has no sums: its exposures
	 * count. */
	if (!r->stratum_count && r->exposed)
		return 0;
	f->view.strata = t->sums;
	return 0;
}

static void view_host(struct bl_fleet *f, const struct bl_fleet_host *h)
{
	const struct bl_exposure *exposed = bl_fleet_exposure_find(f, h->name);
	enum standing how = standing(f, h);
	unsigned named = bl_plan_names_has(
		&f->rollout.plan, &f->rollout.plan.waves[0].names, h->name);

	if (exposed ? exposed->state != BL_EXPOSURE_UNDECIDED
		    : how == STANDING_WAITING)
		f->view.named += named;
	else if (!exposed && how == STANDING_ALREADY)
		f->view.named_already += named;
	if (exposed) {
		bl_tallies_of(f->tallies, &f->rollout.plan, h);
		return;
	}
	switch (how) {
	case STANDING_WAITING:
		f->view.waiting++;
		bl_tallies_of(f->tallies, &f->rollout.plan, h)->waiting++;
		break;
	case STANDING_ALREADY:
		f->view.already++;
		break;
	case STANDING_GONE:
		f->view.gone++;
		break;
	case STANDING_LEFT_OUT:
		f->view.left_out++;
		break;
	}
}

/* What the record says about itself. */
static struct bl_view view_of(const struct bl_rollout *r, int64_t now_ms)
{
	struct bl_view v = {
		.plan = &r->plan,
		.state = r->state,
		.wave = r->wave,
		.target = r->target,
		.widened = r->widened,
		.approved = r->approved,
		.paused = r->paused_ms != 0,
		.unconfirmed = r->unconfirmed,
		.undecided = r->undecided,
		.held = r->held,
		.stop_ms = r->stop_ms,
		.commit_ms = r->commit_ms,
		.now_ms = now_ms,
	};

	memcpy(v.pairs, r->pairs, sizeof(v.pairs));
	return v;
}

void bl_rollout_view(const struct bl_rollout *r, int64_t now_ms,
		     struct bl_tally *ret_sum, struct bl_view *ret)
{
	struct bl_tally sum = { .name = "exposed hosts" };
	unsigned i;

	for (i = 0; i < r->stratum_count; i++) {
		const struct bl_stratum *s = &r->strata[i];

		sum.open += s->exposed - s->good - s->bad;
		sum.good += s->good;
		sum.bad += s->bad;
	}
	*ret_sum = sum;
	*ret = view_of(r, now_ms);
	ret->strata = ret_sum;
	ret->stratum_count = 1;
}

int bl_fleet_view(struct bl_fleet *f, int64_t now_ms, struct bl_err *err)
{
	size_t i;
	int r;

	free(f->view_hosts);
	f->view_hosts = calloc(f->exposure_count + 1, sizeof(*f->view_hosts));
	if (!f->view_hosts)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < f->exposure_count; i++) {
		const struct bl_exposure *e = &f->exposures[i];
		const struct bl_fleet_host *h =
			bl_fleet_host_find(f, e->host, NULL);

		f->view_hosts[i] = (struct bl_view_host){
			.name = e->host,
			.state = e->state,
			.exposed_ms = e->exposed_ms,
			.heard_ms = h ? h->heard_ms : e->exposed_ms,
			.reason = e->reason,
		};
	}
	f->view = view_of(&f->rollout, now_ms);
	f->view.listening_ms = f->listening.since_ms;
	f->view.hosts = f->view_hosts;
	f->view.count = f->exposure_count;
	r = begin_tallies(f, err);
	for (i = 0; !r && i < f->host_count; i++)
		view_host(f, &f->hosts[i]);
	f->view.stratum_count = f->view.strata ? f->tallies->count : 0;
	return r;
}

/* Who paused it, why and when; null: it is not paused. */
static json_t *paused_json(const struct bl_rollout *r)
{
	if (!r->paused_ms)
		return json_null();
	return json_pack("{s:s,s:s,s:I}", "by", r->paused_by, "reason",
			 r->paused_reason, "at_ms", (json_int_t)r->paused_ms);
}

json_t *bl_rollout_summary_json(const struct bl_rollout *r)
{
	return json_pack(
		"{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:I,s:I}",
		"id", r->id, "digest", r->digest, "name", r->name, "version",
		r->version, "state", bl_rollout_state_name(r->state), "reason",
		r->reason, "override", r->override_reason, "wave",
		(json_int_t)r->wave + 1, "target", (json_int_t)r->target,
		"exposed", (json_int_t)r->exposed, "unconfirmed",
		(json_int_t)r->unconfirmed, "approved", (json_int_t)r->approved,
		"paused", paused_json(r), "start_ms", (json_int_t)r->start_ms,
		"stop_ms", (json_int_t)r->stop_ms, "end_ms",
		(json_int_t)r->end_ms);
}

static json_t *host_json(const struct bl_fleet_host *h)
{
	json_t *sample = json_array(), *labels = json_array();
	unsigned i;

	for (i = 0; i < h->sample_count; i++)
		json_array_append_new(sample, json_string(h->sample[i]));
	for (i = 0; i < h->label_count; i++)
		json_array_append_new(labels, json_string(h->labels[i]));
	return json_pack(
		"{s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:s,s:s,s:I,s:I,s:I,s:o}", "name",
		h->name, "kernel", h->kernel, "arch", h->arch, "os", h->os,
		"role", h->role, "labels", labels, "live", h->live, "rollout",
		h->rollout, "doing", h->doing, "heard_ms",
		(json_int_t)h->heard_ms, "events", (json_int_t)h->events,
		"drops", (json_int_t)h->drops, "sample", sample);
}

static const char *const standing_names[] = {
	[STANDING_WAITING] = "waiting",
	[STANDING_ALREADY] = "already",
	[STANDING_GONE] = "gone",
	[STANDING_LEFT_OUT] = "left-out",
};

static json_t *fleet_host_json(const struct bl_fleet *f,
			       const struct bl_fleet_host *h)
{
	const struct bl_exposure *e = bl_fleet_exposure_find(f, h->name);
	bool over = !bl_rollout_open(&f->rollout);
	bl_autojson json_t *obj = host_json(h);
	const char *state;

	if (!obj)
		return NULL;
	if (e)
		state = bl_exposure_state_name(e->state);
	else if (over && standing(f, h) != STANDING_ALREADY)
		state = "untouched";
	else
		state = standing_names[standing(f, h)];
	if (json_object_set_new(obj, "state", json_string(state)) < 0 ||
	    json_object_set_new(obj, "wave",
				json_integer(e ? e->wave + 1 : 0)) < 0 ||
	    json_object_set_new(obj, "reason",
				json_string(e ? e->reason : "")) < 0 ||
	    json_object_set_new(obj, "again", json_boolean(e && e->again)) <
		    0 ||
	    json_object_set_new(obj, "since_ms",
				json_integer(e ? e->changed_ms : 0)) < 0 ||
	    json_object_set_new(obj, "exposed_ms",
				json_integer(e ? e->exposed_ms : 0)) < 0)
		return NULL;
	return BL_TAKE(obj);
}

static json_t *waves_json(const struct bl_fleet *f)
{
	json_t *waves = json_array();
	unsigned w;
	size_t i;

	for (w = 0; w < f->rollout.plan.wave_count; w++) {
		const struct bl_wave *wave = &f->rollout.plan.waves[w];
		unsigned exposed = 0, committed = 0;
		char what[64];

		for (i = 0; i < f->exposure_count; i++) {
			if (f->exposures[i].wave != w)
				continue;
			exposed++;
			committed += f->exposures[i].state ==
				     BL_EXPOSURE_COMMITTED;
		}
		bl_plan_wave_text(&f->rollout.plan, w, what, sizeof(what));
		json_array_append_new(
			waves,
			json_pack("{s:s,s:I,s:I,s:I,s:I}", "what", what, "size",
				  (json_int_t)bl_decision_wave_size(&f->view,
								    w),
				  "exposed", (json_int_t)exposed, "committed",
				  (json_int_t)committed, "soak_s",
				  (json_int_t)(wave->soak_ms / 1000)));
	}
	return waves;
}

static json_t *strata_json(const struct bl_fleet *f)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < f->view.stratum_count; i++) {
		const struct bl_tally *t = &f->view.strata[i];

		json_array_append_new(list,
				      json_pack("{s:s,s:I,s:I,s:I,s:I}", "name",
						t->name, "waiting",
						(json_int_t)t->waiting, "open",
						(json_int_t)t->open, "good",
						(json_int_t)t->good, "bad",
						(json_int_t)t->bad));
	}
	return list;
}

static json_t *counts_json(const struct bl_fleet *f)
{
	json_int_t n[BL_EXPOSURE_STATES] = { 0 };
	json_t *obj = json_object();
	size_t i;

	for (i = 0; i < f->exposure_count; i++)
		n[f->exposures[i].state]++;
	for (i = 0; i < BL_ARRAY_SIZE(n); i++)
		json_object_set_new(
			obj, bl_exposure_state_name((enum bl_exposure_state)i),
			json_integer(n[i]));
	json_object_set_new(obj, "waiting", json_integer(f->view.waiting));
	json_object_set_new(obj, "already", json_integer(f->view.already));
	json_object_set_new(obj, "gone", json_integer(f->view.gone));
	json_object_set_new(obj, "left-out", json_integer(f->view.left_out));
	return obj;
}

json_t *bl_fleet_json(const struct bl_fleet *f)
{
	bl_autojson json_t *obj = bl_rollout_summary_json(&f->rollout);
	struct bl_decision d;
	json_t *hosts;
	size_t i;

	if (!obj)
		return NULL;
	bl_decide(&f->view, &d);
	hosts = json_array();
	for (i = 0; i < f->host_count; i++)
		json_array_append_new(hosts, fleet_host_json(f, &f->hosts[i]));
	if (json_object_set_new(obj, "hosts", hosts) < 0 ||
	    json_object_set_new(obj, "plan", bl_plan_json(&f->rollout.plan)) <
		    0 ||
	    json_object_set_new(obj, "waves", waves_json(f)) < 0 ||
	    json_object_set_new(obj, "counts", counts_json(f)) < 0 ||
	    json_object_set_new(obj, "strata", strata_json(f)) < 0 ||
	    json_object_set_new(
		    obj, "next",
		    json_string(bl_rollout_open(&f->rollout) ? d.reason : "")) <
		    0 ||
	    json_object_set_new(obj, "now_ms", json_integer(f->view.now_ms)) <
		    0)
		return NULL;
	return BL_TAKE(obj);
}

int bl_fleet_hosts_json(struct bl_store *store, int64_t now_ms, json_t **ret,
			struct bl_err *err)
{
	bl_autojson json_t *hosts = json_array();
	bl_autofleet struct bl_fleet f = { 0 };
	size_t i;
	int r = bl_fleet_load_hosts(store, now_ms, &f, err);

	if (r < 0)
		return r;
	for (i = 0; i < f.host_count; i++)
		json_array_append_new(hosts, host_json(&f.hosts[i]));
	*ret = json_pack("{s:O,s:I}", "hosts", hosts, "now_ms",
			 (json_int_t)now_ms);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}

int bl_fleet_rollouts_json(struct bl_store *store, json_t **ret,
			   struct bl_err *err)
{
	bl_autostore_item struct bl_store_item last = { 0 };
	bl_autojson json_t *list = json_array();
	int r = bl_fleet_get(store, &last, err, "fleet/", "last");
	long number = r < 0 ? 0 : strtol(bl_buf_str(&last.value), NULL, 10);
	long stop = number > BL_LIST_MAX ? number - BL_LIST_MAX : 0;

	if (r < 0)
		return r;
	for (; number > stop; number--) {
		struct bl_rollout rollout;
		char id[BL_ROLLOUT_ID_LEN];
		int64_t revision;

		snprintf(id, sizeof(id), "r%ld", number);
		r = bl_fleet_rollout(store, id, &rollout, &revision, err);
		if (r < 0)
			return r;
		json_array_append_new(list, bl_rollout_summary_json(&rollout));
	}
	*ret = json_pack("{s:O}", "rollouts", list);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}
