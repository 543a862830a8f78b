/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/polls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/controller/poll.h"
#include "canary/controller/polls_own.h"
#include "canary/controller/revoke.h"
#include "loader/base/cleanup.h"

/* How often a loser reads again before it leaves the rest to its caller. */
#define TRIES 16
/* Of one poll: the host, its exposure, and a new one; two rollouts. */
#define PUTS_OF_A_POLL	5
#define BYTES_OF_A_POLL (64u * 1024)

static struct bl_polls *new_polls(struct bl_store *store, bool keeps)
{
	struct bl_polls *p = calloc(1, sizeof(*p));

	if (p) {
		p->store = store;
		p->keeps = keeps;
	}
	return p;
}

int bl_polls_open(struct bl_store *store, struct bl_polls **ret,
		  struct bl_err *err)
{
	struct bl_polls *p = new_polls(store, true);

	if (!p)
		return bl_err_set(err, -ENOMEM, "out of memory");
	*ret = p;
	return 0;
}

void bl_polls_close(struct bl_polls *p)
{
	if (!p)
		return;
	bl_known_free(&p->known);
	bl_heard_free(&p->heard);
	bl_change_free(&p->change);
	free(p);
}

void bl_polls_forget_rollouts(struct bl_polls *p)
{
	bl_polls_commit(p);
	bl_known_rollouts_forget(&p->known);
}

int bl_polls_busy(struct bl_polls *p, int64_t now_ms, struct bl_err *err)
{
	int r = bl_known_active(&p->known, p->store, now_ms, BL_POLLS_FRESH_MS,
				err);

	return r < 0 ? r : *p->known.active != '\0';
}

int bl_polls_check(struct bl_polls *p, const struct bl_peer *peer,
		   int64_t now_ms, struct bl_err *err)
{
	unsigned generation;
	int r = 0;

	if (!peer || peer->role != BL_ROLE_HOST)
		return 0;
	r = bl_known_revoked(&p->known, p->store, peer->name, now_ms,
			     BL_POLLS_FRESH_MS, &generation, err);
	if (!r && peer->generation < generation)
		r = bl_revoke_check(p->store, peer, err);
	return r;
}

/* How many polls this one is after the newest that is known of its session, 0
 * for the same one. 1 means that nobody else heard one that was sent since; a
 * poll from before may still reach somebody else, late: that is what
 * bl_known_look is for. */
static int64_t distance(const struct bl_known_host *h,
			const struct bl_polls_job *job)
{
	return job->poll.seq - h->host.seq;
}

static bool is_of_session(const struct bl_known_host *h,
			  const struct bl_polls_job *job)
{
	return strcmp(h->host.sessions[0], job->poll.session) == 0;
}

/* Whether it was read for this very poll. */
static bool is_ahead(const struct bl_polls *p, const struct bl_known_host *h)
{
	return h->ahead && h->ahead == p->ahead && !h->stale;
}

/* Once for all that were read ahead together. */
static int load_heard(struct bl_polls *p, int64_t now_ms, struct bl_err *err)
{
	int r = 0;

	if (!p->ahead || p->heard_ahead != p->ahead)
		r = bl_heard_load(p->store, now_ms, &p->heard, err);
	if (!r)
		p->heard_ahead = p->ahead;
	return r;
}

/* Reads @h anew; what was only heard, and not written, stays heard. */
static int read_host(struct bl_polls *p, const struct bl_polls_job *job,
		     struct bl_known_host *h, struct bl_err *err)
{
	struct bl_fleet_host was = h->host;
	int64_t heard_ms = 0;
	int r = 0;

	if (!is_ahead(p, h))
		r = bl_known_host_read(&p->known, p->store, job->now_ms, h,
				       err);
	h->ahead = 0;
	if (r < 0)
		return r;
	if (strcmp(was.sessions[0], h->host.sessions[0]) == 0 &&
	    was.seq > h->host.seq)
		h->host.seq = was.seq;
	/* Whether its name is free (take_session) hangs on it. */
	if (h->host_revision &&
	    strcmp(h->host.sessions[0], job->poll.session) != 0) {
		r = load_heard(p, job->now_ms, err);
		heard_ms = bl_heard_ms(&p->heard, h->host.name);
	}
	heard_ms = bl_heard_later(heard_ms, was.heard_ms, job->now_ms);
	h->host.heard_ms =
		bl_heard_later(h->host.heard_ms, heard_ms, job->now_ms);
	return r;
}

static int find_host(struct bl_polls *p, const struct bl_polls_job *job,
		     bool fresh, struct bl_known_host **ret, struct bl_err *err)
{
	struct bl_known_host *h = bl_known_host_find(&p->known, job->host);
	int r;

	if (h && is_of_session(h, job) && distance(h, job) <= 0)
		return bl_err_set(err, -ESTALE,
				  "poll %lld of host %s came late or twice",
				  (long long)job->poll.seq, job->host);
	if (h && fresh)
		h->ahead = 0;
	if (h && !fresh && !h->stale && !h->ahead && is_of_session(h, job) &&
	    distance(h, job) == 1) {
		*ret = h;
		return 0;
	}
	if (!h)
		h = bl_known_host_add(&p->known, job->host);
	if (!h)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = read_host(p, job, h, err);
	if (r < 0) {
		bl_known_host_forget(&p->known, job->host);
		return r;
	}
	*ret = h;
	return 0;
}

/* The records that one poll is judged on, copies of the host's. */
struct judged {
	struct bl_known_host *h;
	struct bl_fleet_host host;
	struct bl_exposure exposure;
	struct bl_known_rollout *own, *active;
	struct bl_poll_state s;
};

static int find_rollouts(struct bl_polls *p, int64_t now_ms, bool fresh,
			 struct judged *j, struct bl_err *err)
{
	int64_t age_ms = fresh ? 0 : BL_POLLS_FRESH_MS;
	const char *active = p->known.active;
	int r = bl_known_active(&p->known, p->store, now_ms, age_ms, err);

	if (!r && *j->host.rollout)
		r = bl_known_rollout(&p->known, p->store, j->host.rollout,
				     now_ms, age_ms, &j->own, err);
	if (!r && *active && strcmp(active, j->host.rollout) != 0)
		r = bl_known_rollout(&p->known, p->store, active, now_ms,
				     age_ms, &j->active, err);
	return r;
}

/* Everything that the poll says joins the transaction, or (without @record) that
 * the order still follows from what is in the store. */
static void add_change(struct bl_polls *p, struct bl_polls_job *job,
		       struct judged *j, bool record, bool again)
{
	struct bl_known_host *h = j->h;
	struct bl_change *c = &p->change;
	const char *name = h->host.name;

	bl_change_expect(c, h->host_revision, "host/%s", name);
	if (record)
		bl_change_put(c, bl_fleet_host_json(&j->host), "host/%s", name);
	if (j->s.own_changed || again)
		bl_change_expect(c, h->exposure_revision, "exposure/%s/%s",
				 j->own->rollout.id, name);
	if (again)
		j->own->expected = true;
	if (j->s.own_changed) {
		bl_change_put(c, bl_exposure_json(&j->exposure),
			      "exposure/%s/%s", j->own->rollout.id, name);
		j->own->changed = true;
	}
	if (j->s.exposed) {
		bl_change_expect(c, 0, "exposure/%s/%s", j->active->rollout.id,
				 name);
		bl_change_put(c, bl_exposure_json(&j->s.fresh),
			      "exposure/%s/%s", j->active->rollout.id, name);
		j->active->changed = true;
		j->exposure = j->s.fresh;
	}
	h->pending = true;
	p->pending[p->pending_count++] =
		(struct bl_polls_pending){ job, h, record,
					   j->s.own_changed || j->s.exposed };
}

/*
 * Whether being heard has to be written with this poll. Of exposed hosts it has
 * when flushing is late: a verdict of silence that was made meanwhile then loses
 * against the poll.
 */
static bool refresh_due(const struct bl_polls *p, const struct judged *j,
			int64_t now_ms)
{
	int64_t heard_ms = j->h->written_ms;

	if (p->keeps && (!j->own || !bl_rollout_open(&j->own->rollout)))
		return false;
	return heard_ms > now_ms ||
	       now_ms - heard_ms >= bl_poll_refresh_ms(&j->s);
}

static void note_heard(struct bl_polls *p, struct judged *j, int64_t now_ms)
{
	int64_t refresh_ms = bl_poll_refresh_ms(&j->s);

	j->h->heard = true;
	if (!p->refresh_ms || refresh_ms < p->refresh_ms)
		p->refresh_ms = refresh_ms;
	if (!p->unwritten_ms)
		p->unwritten_ms = now_ms;
}

static int judge(struct bl_polls *p, struct bl_polls_job *job, bool fresh,
		 struct judged *j, bool *ret_pending)
{
	struct bl_err *err = &job->err;
	bool again, record;
	int r = 0;

	if (p->keeps)
		r = bl_known_look(&p->known, p->store, job->now_ms,
				  BL_POLLS_FRESH_MS, err);
	if (!r)
		r = find_host(p, job, fresh, &j->h, err);
	if (r < 0)
		return r;
	assert(j->h);
	j->host = j->h->host;
	j->exposure = j->h->exposure;
	r = find_rollouts(p, job->now_ms, fresh, j, err);
	if (r < 0)
		return r;
	j->s.host = &j->host;
	j->s.own = j->own ? &j->own->rollout : NULL;
	j->s.exposure = j->own && j->h->exposure_revision ? &j->exposure : NULL;
	j->s.active = j->active ? &j->active->rollout : NULL;
	r = bl_poll_judge(&j->s, &job->poll, job->now_ms, &job->order, err);
	if (r < 0)
		return r;
	record = j->s.host_changed || j->s.own_changed || j->s.exposed ||
		 refresh_due(p, j, job->now_ms);
	/* What is remembered alone never gives an order. */
	again = !fresh && job->order.kind != BL_ORDER_NONE &&
		!j->s.own_changed && !j->s.exposed;
	*ret_pending = record || again;
	if (*ret_pending)
		add_change(p, job, j, record, again);
	if (!record)
		note_heard(p, j, job->now_ms);
	j->h->host = j->host;
	j->h->exposure = j->exposure;
	return 0;
}

static int take_once(struct bl_polls *p, struct bl_polls_job *job, bool fresh,
		     bool *ret_pending)
{
	struct judged j = { 0 };

	*ret_pending = false;
	job->err = (struct bl_err){ 0 };
	return judge(p, job, fresh, &j, ret_pending);
}

static bool has_room(const struct bl_polls *p)
{
	const struct bl_change *c = &p->change;
	size_t n = c->put_count > c->compare_count ? c->put_count
						   : c->compare_count;
	size_t rollouts = 0, i;

	for (i = 0; i < BL_KNOWN_ROLLOUTS; i++)
		rollouts += p->known.rollouts[i].changed ||
			    p->known.rollouts[i].expected;
	return n + rollouts + PUTS_OF_A_POLL <= BL_STORE_MANY_MAX &&
	       rollouts < BL_KNOWN_ROLLOUTS / 2 &&
	       c->bytes + BYTES_OF_A_POLL * (BL_KNOWN_ROLLOUTS / 4) <
		       BL_STORE_MANY_BYTES;
}

void bl_polls_ahead(struct bl_polls *p, struct bl_polls_job *const *jobs,
		    size_t count)
{
	struct bl_known_host *hosts[BL_STORE_MANY_MAX];
	size_t i, n = 0;

	if (!++p->ahead)
		p->ahead = 1;
	for (i = 0; i < count; i++) {
		const char *name = jobs[i]->host;

		if (!bl_name_valid(name) || bl_known_host_find(&p->known, name))
			continue;
		hosts[n] = bl_known_host_add(&p->known, name);
		n += hosts[n] != NULL;
	}
	if (n)
		bl_known_hosts_read(&p->known, p->store, jobs[0]->now_ms, hosts,
				    n, p->ahead);
}

bool bl_polls_take(struct bl_polls *p, struct bl_polls_job *job)
{
	const struct bl_known_host *h;
	bool pending;

	job->err = (struct bl_err){ 0 };
	if (!bl_name_valid(job->host)) {
		job->r = bl_err_set(
			&job->err, -EINVAL,
			"a host's name is 1 to %d of A-Z a-z 0-9 . _ + -, not beginning with . or -",
			BL_NAME_MAX);
		return true;
	}
	h = bl_known_host_find(&p->known, job->host);
	if (!has_room(p) || (h && h->pending))
		bl_polls_commit(p);
	job->r = take_once(p, job, false, &pending);
	return !pending;
}

/* Writes the transaction in the making. Whatever comes of it, it is over. */
static int write_change(struct bl_polls *p, struct bl_err *err)
{
	struct bl_known *k = &p->known;
	struct bl_change *c = &p->change;
	int64_t revision = 0;
	size_t i;
	int r;

	for (i = 0; i < BL_KNOWN_ROLLOUTS; i++) {
		const struct bl_known_rollout *at = &k->rollouts[i];

		if (!at->changed && !at->expected)
			continue;
		bl_change_expect(c, at->revision, "rollout/%s", at->rollout.id);
		if (at->changed)
			bl_change_put(c, bl_rollout_json(&at->rollout),
				      "rollout/%s", at->rollout.id);
	}
	r = bl_change_write_at(c, p->store, &revision, err);
	bl_change_free(c);
	for (i = 0; !r && i < BL_KNOWN_ROLLOUTS; i++) {
		k->rollouts[i].expected = false;
		if (k->rollouts[i].changed) {
			bl_known_looked(k, &k->rollouts[i], revision);
			k->rollouts[i].revision = revision;
			k->rollouts[i].changed = false;
		}
	}
	if (r < 0)
		bl_known_rollouts_forget(k);
	for (i = 0; i < p->pending_count; i++) {
		struct bl_known_host *h = p->pending[i].host;

		h->pending = false;
		if (p->pending[i].exposure)
			h->exposure_revision = revision;
		if (p->pending[i].record) {
			h->heard = false;
			h->host_revision = revision;
			h->written_ms = h->counted_ms = h->host.heard_ms;
		}
		if (r < 0)
			bl_known_host_forget(k, p->pending[i].job->host);
	}
	p->pending_count = 0;
	return r;
}

/* By itself, until nobody is faster. */
static void take_alone(struct bl_polls *p, struct bl_polls_job *job)
{
	bool pending = true;
	int i;

	for (i = 0; i < TRIES; i++) {
		job->r = take_once(p, job, true, &pending);
		if (!pending)
			return;
		job->r = write_change(p, &job->err);
		if (job->r != -EAGAIN)
			return;
	}
}

void bl_polls_commit(struct bl_polls *p)
{
	struct bl_polls_job *jobs[BL_STORE_MANY_MAX];
	size_t i, n = p->pending_count;
	struct bl_err err = { 0 };
	int r;

	if (!n)
		return;
	for (i = 0; i < n; i++)
		jobs[i] = p->pending[i].job;
	r = write_change(p, &err);
	for (i = 0; i < n; i++) {
		jobs[i]->r = r;
		if (r == -EAGAIN)
			take_alone(p, jobs[i]);
		else if (r < 0)
			jobs[i]->err = err;
	}
}

int bl_controller_poll(struct bl_store *store, const char *host,
		       const struct bl_poll *poll, int64_t now_ms,
		       struct bl_order *ret, struct bl_err *err)
{
	struct bl_polls *p = new_polls(store, false);
	struct bl_polls_job job = { .poll = *poll, .now_ms = now_ms };

	if (!p)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (strlen(host) < sizeof(job.host)) /* else it is no name */
		memcpy(job.host, host, strlen(host) + 1);
	if (!bl_polls_take(p, &job))
		bl_polls_commit(p);
	bl_polls_close(p);
	if (job.r < 0) {
		if (err)
			*err = job.err;
		return job.r;
	}
	*ret = job.order;
	return 0;
}
