/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/meter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "canary/decide/decision.h"
#include "canary/ledger/protocol.h"
#include "loader/base/cleanup.h"
#include "loader/base/json.h"

#define ROUTES_MAX 64
#define ORDERS	   (BL_ORDER_ROLLBACK + 1)

typedef _Atomic uint64_t counter;

/* Statuses that the API answers with; the last place is for all others. */
static const unsigned statuses[] = { 200, 201, 206, 304, 400, 401,
				     403, 404, 405, 409, 413, 415,
				     416, 429, 500, 503, 507, 0 };

/* What becomes of a poll beside an order. */
enum poll_end { UNCHANGED = ORDERS, REFUSED, FAILED, POLL_ENDS };
static const char *const poll_ends[] = {
	[UNCHANGED] = "unchanged",
	[REFUSED] = "refused",
	[FAILED] = "failed",
};

enum op { GET, LIST, COUNT, TXN, REVISION, OPS };
static const char *const op_names[] = { "get", "list", "count", "txn",
					"revision" };

/* Seconds: from what memory takes to what a disk or a quorum may. */
static const double bounds[] = { 0.0001, 0.0005, 0.001, 0.0025, 0.005,
				 0.01,	 0.025,	 0.05,	0.1,	0.25,
				 0.5,	 1,	 2.5,	5 };
#define BUCKETS (BL_ARRAY_SIZE(bounds) + 1)

/* A store that is measured. */
struct metered {
	struct bl_store head;
	struct bl_store *under;
	struct bl_meter *m;
};

struct bl_meter {
	struct metered store;
	counter answers[ROUTES_MAX][BL_ARRAY_SIZE(statuses)];
	counter polls[POLL_ENDS];
	counter ticks[2]; /* failed, good */
	counter connections, connections_total, streams;
	counter exposures, reports, decisions[BL_DECISION_KINDS];
	counter took[OPS][BUCKETS], took_ns[OPS];
	counter failures[OPS], conflicts;
	counter background;   /* failures */
	pthread_mutex_t lock; /* of these two */
	unsigned unwritten;   /* not asked for yet */
	struct bl_err why;    /* of the newest */
};

int bl_meter_new(struct bl_meter **ret)
{
	struct bl_meter *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	*ret = m;
	return 0;
}

void bl_meter_free(struct bl_meter *m)
{
	if (m)
		pthread_mutex_destroy(&m->lock);
	free(m);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* One operation of the store, begun at @start_ns, that ended with @r. */
static int took(struct metered *s, enum op op, uint64_t start_ns, int r)
{
	struct bl_meter *m = s->m;
	uint64_t ns = now_ns() - start_ns;
	size_t i = 0;

	while (i < BL_ARRAY_SIZE(bounds) && (double)ns > bounds[i] * 1e9)
		i++;
	m->took[op][i]++;
	m->took_ns[op] += ns;
	if (r == -EAGAIN)
		m->conflicts++;
	else if (r < 0 && r != -ENOENT)
		m->failures[op]++;
	return r;
}

static int metered_get(struct bl_store *store, const char *key,
		       struct bl_store_item *ret, struct bl_err *err)
{
	struct metered *s = (struct metered *)store;
	uint64_t start_ns = now_ns();

	return took(s, GET, start_ns, bl_store_get(s->under, key, ret, err));
}

static int metered_get_many(struct bl_store *store, const char *const *keys,
			    size_t count, struct bl_store_item *ret,
			    struct bl_err *err)
{
	struct metered *s = (struct metered *)store;
	uint64_t start_ns = now_ns();

	return took(s, GET, start_ns,
		    bl_store_get_many(s->under, keys, count, ret, err));
}

static int metered_list(struct bl_store *store, const char *prefix,
			int64_t since, struct bl_store_list *ret,
			struct bl_err *err)
{
	struct metered *s = (struct metered *)store;
	uint64_t start_ns = now_ns();

	return took(s, LIST, start_ns,
		    bl_store_changed(s->under, prefix, since, ret, err));
}

static int metered_count(struct bl_store *store, const char *prefix,
			 size_t *ret, struct bl_err *err)
{
	struct metered *s = (struct metered *)store;
	uint64_t start_ns = now_ns();

	return took(s, COUNT, start_ns,
		    bl_store_count(s->under, prefix, ret, err));
}

static int metered_revision(struct bl_store *store, int64_t *ret,
			    struct bl_err *err)
{
	struct metered *s = (struct metered *)store;
	uint64_t start_ns = now_ns();

	return took(s, REVISION, start_ns,
		    bl_store_revision(s->under, ret, err));
}

static bool begins(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

static void count_decision(struct bl_meter *m, const struct bl_store_put *put)
{
	bl_autojson json_t *obj = json_loadb(put->data, put->len, 0, NULL);
	const char *kind = json_string_value(json_object_get(obj, "kind"));
	enum bl_decision_kind i;

	for (i = 0; kind && i < BL_DECISION_KINDS; i++)
		if (strcmp(bl_decision_name(i), kind) == 0)
			m->decisions[i]++;
}

/* What a transaction that is durable now did: an exposure is new if it must not
 * have been there; a report is one that came with its host's record. */
static void count_written(struct bl_meter *m,
			  const struct bl_store_compare *compares,
			  size_t compare_count, const struct bl_store_put *puts,
			  size_t put_count)
{
	bool host = false;
	size_t i, k;

	for (i = 0; i < put_count; i++)
		host |= begins(puts[i].key, "host/");
	for (i = 0; i < put_count; i++) {
		if (puts[i].data && begins(puts[i].key, "decision/"))
			count_decision(m, &puts[i]);
		if (!puts[i].data || !begins(puts[i].key, "exposure/"))
			continue;
		for (k = 0; k < compare_count; k++)
			if (strcmp(compares[k].key, puts[i].key) == 0)
				break;
		if (k < compare_count && compares[k].revision == 0)
			m->exposures++;
		else if (host)
			m->reports++;
	}
}

static int metered_txn(struct bl_store *store,
		       const struct bl_store_compare *compares,
		       size_t compare_count, const struct bl_store_put *puts,
		       size_t put_count, int64_t *ret_revision,
		       struct bl_err *err)
{
	struct metered *s = (struct metered *)store;
	uint64_t start_ns = now_ns();
	int r = took(s, TXN, start_ns,
		     bl_store_txn_at(s->under, compares, compare_count, puts,
				     put_count, ret_revision, err));

	if (!r)
		count_written(s->m, compares, compare_count, puts, put_count);
	return r;
}

static void metered_close(struct bl_store *store)
{
	(void)store; /* it is the meter's */
}

static const struct bl_store_ops metered_ops = {
	.get = metered_get,
	.get_many = metered_get_many,
	.list = metered_list,
	.count = metered_count,
	.txn = metered_txn,
	.revision = metered_revision,
	.close = metered_close,
};

struct bl_store *bl_meter_store(struct bl_meter *m, struct bl_store *store)
{
	m->store = (struct metered){ .head.ops = &metered_ops,
				     .under = store,
				     .m = m };
	return &m->store.head;
}

static size_t status_place(unsigned status)
{
	size_t i = 0;

	while (statuses[i] && statuses[i] != status)
		i++;
	return i;
}

void bl_meter_answer(struct bl_meter *m, const struct bl_response *a)
{
	if (a->route < ROUTES_MAX)
		m->answers[a->route][status_place(a->status)]++;
	if (!a->poll)
		return;
	if (a->status == 304)
		m->polls[UNCHANGED]++;
	else if (a->status >= 400)
		m->polls[a->status < 500 ? REFUSED : FAILED]++;
	else
		m->polls[a->order]++;
}

void bl_meter_connection(struct bl_meter *m, bool came)
{
	if (came) {
		m->connections++;
		m->connections_total++;
	} else {
		m->connections--;
	}
}

void bl_meter_tick(struct bl_meter *m, bool good, unsigned streams)
{
	m->ticks[good]++;
	m->streams = streams;
}

void bl_meter_background(struct bl_meter *m, const struct bl_err *err)
{
	m->background++;
	pthread_mutex_lock(&m->lock);
	m->unwritten++;
	m->why = *err;
	pthread_mutex_unlock(&m->lock);
}

unsigned bl_meter_unwritten(struct bl_meter *m, struct bl_err *err)
{
	unsigned times;

	pthread_mutex_lock(&m->lock);
	times = m->unwritten;
	m->unwritten = 0;
	if (times && err)
		*err = m->why;
	pthread_mutex_unlock(&m->lock);
	return times;
}

/* "/v1/hosts/{name}/poll"; requests to no path of ours are one. */
static void print_answers(struct bl_meter *m, struct bl_prom *p)
{
	struct bl_api_route r = { .method = "", .before = "" };
	char path[160], code[16];
	size_t i, k;

	bl_prom_family(p, BL_PROM_COUNTER, "belay_http_requests_total",
		       "Requests that were answered.");
	for (i = 0; i < ROUTES_MAX && (!i || bl_api_route(i - 1, &r)); i++) {
		snprintf(path, sizeof(path), "%s%s%s", r.before,
			 r.after ? "{name}" : "", r.after ? r.after : "");
		for (k = 0; k < BL_ARRAY_SIZE(statuses); k++) {
			if (!m->answers[i][k])
				continue;
			snprintf(code, sizeof(code), "%u", statuses[k]);
			bl_prom_add(p, (double)m->answers[i][k], "method",
				    r.method, "path", path, "code", code);
		}
	}
}

static void print_polls(struct bl_meter *m, struct bl_prom *p)
{
	unsigned i;

	bl_prom_family(p, BL_PROM_COUNTER, "belay_polls_total",
		       "Polls of agents, by what they were answered.");
	for (i = 0; i < POLL_ENDS; i++)
		bl_prom_add(p, (double)m->polls[i], "answer",
			    i < ORDERS ? bl_order_name((enum bl_order_kind)i)
				       : poll_ends[i]);
}

static void print_ledger(struct bl_meter *m, struct bl_prom *p)
{
	enum bl_decision_kind i;

	bl_prom_family(p, BL_PROM_COUNTER, "belay_exposures_total",
		       "Hosts that this controller exposed to a version.");
	bl_prom_sample(p, (double)m->exposures, NULL);
	bl_prom_family(p, BL_PROM_COUNTER, "belay_reports_total",
		       "Reports of exposed hosts that changed how they stand.");
	bl_prom_sample(p, (double)m->reports, NULL);
	bl_prom_family(p, BL_PROM_COUNTER, "belay_decisions_total",
		       "Decisions that this controller wrote, by kind.");
	for (i = BL_DECISION_WAIT + 1; i < BL_DECISION_KINDS; i++)
		bl_prom_add(p, (double)m->decisions[i], "kind",
			    bl_decision_name(i));
	bl_prom_family(p, BL_PROM_COUNTER, "belay_ticks_total",
		       "Times that this controller looked whether to decide.");
	bl_prom_add(p, (double)m->ticks[true], "result", "good");
	bl_prom_add(p, (double)m->ticks[false], "result", "failed");
}

static void print_store(struct bl_meter *m, struct bl_prom *p)
{
	uint64_t counts[BUCKETS];
	size_t op, i;

	bl_prom_family(p, BL_PROM_HISTOGRAM,
		       "belay_store_operation_duration_seconds",
		       "How long the store takes.");
	for (op = 0; op < OPS; op++) {
		const struct bl_prom_histogram h = { bounds, counts,
						     BL_ARRAY_SIZE(bounds),
						     (double)m->took_ns[op] /
							     1e9 };

		for (i = 0; i < BUCKETS; i++)
			counts[i] = m->took[op][i];
		bl_prom_histogram(p, &h, "operation", op_names[op]);
	}
	bl_prom_family(p, BL_PROM_COUNTER, "belay_store_failures_total",
		       "Operations of the store that failed.");
	for (op = 0; op < OPS; op++)
		bl_prom_add(p, (double)m->failures[op], "operation",
			    op_names[op]);
	bl_prom_family(
		p, BL_PROM_COUNTER, "belay_store_conflicts_total",
		"Transactions that somebody else was faster than; they are made again.");
	bl_prom_sample(p, (double)m->conflicts, NULL);
	bl_prom_family(
		p, BL_PROM_COUNTER, "belay_background_write_failures_total",
		"Writes that no request waits for (who was heard, counters) and that failed; they are made again.");
	bl_prom_sample(p, (double)m->background, NULL);
}

void bl_meter_print(struct bl_meter *m, struct bl_prom *p)
{
	print_answers(m, p);
	print_polls(m, p);
	print_ledger(m, p);
	print_store(m, p);
	bl_prom_family(p, BL_PROM_GAUGE, "belay_http_connections",
		       "Connections that are open.");
	bl_prom_sample(p, (double)m->connections, NULL);
	bl_prom_family(p, BL_PROM_COUNTER, "belay_http_connections_total",
		       "Connections that were taken.");
	bl_prom_sample(p, (double)m->connections_total, NULL);
	bl_prom_family(p, BL_PROM_GAUGE, "belay_event_streams",
		       "Who watches: open streams of GET /v1/events.");
	bl_prom_sample(p, (double)m->streams, NULL);
}
