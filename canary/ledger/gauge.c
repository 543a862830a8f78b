/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/gauge.h"
#include "loader/base/text.h"

#include <string.h>

static void set(struct bl_metrics *m, enum bl_guard_metric metric, double value)
{
	m->value[metric] = value;
	m->known |= 1u << metric;
}

/* Counters begin again where an agent or a sensor did: that window is lost. */
static bool went_back(const struct bl_gauge_sample *a,
		      const struct bl_gauge_sample *b)
{
	return b->events < a->events || b->drops < a->drops ||
	       b->run_count < a->run_count || b->run_time_ns < a->run_time_ns ||
	       b->cpu_us < a->cpu_us;
}

static void measure(const struct bl_gauge_sample *a,
		    const struct bl_gauge_sample *b, int64_t ms,
		    struct bl_metrics *ret)
{
	double s = (double)ms / 1000;
	double events = (double)(b->events - a->events);
	double drops = (double)(b->drops - a->drops);
	double runs = (double)(b->run_count - a->run_count);

	*ret = (struct bl_metrics){ 0 };
	if (runs >= BL_GAUGE_MIN_COUNT)
		set(ret, BL_GUARD_TIME_PER_EVENT,
		    (double)(b->run_time_ns - a->run_time_ns) / runs);
	if (events + drops >= BL_GAUGE_MIN_COUNT)
		set(ret, BL_GUARD_DROP_RATIO, drops / (events + drops));
	set(ret, BL_GUARD_EVENTS_MORE, (events + drops) / s);
	set(ret, BL_GUARD_EVENTS_FEWER, (events + drops) / s);
	if (b->memory_bytes)
		set(ret, BL_GUARD_MEMORY, (double)b->memory_bytes);
	set(ret, BL_GUARD_AGENT_CPU, (double)(b->cpu_us - a->cpu_us) / 1e6 / s);
}

static void begin(struct bl_gauge *g, const struct bl_gauge_sample *sample,
		  int64_t now_ms)
{
	g->first = *sample;
	g->begun_ms = now_ms;
}

void bl_gauge_add(struct bl_gauge *g, const struct bl_gauge_sample *sample,
		  int64_t now_ms, struct bl_metrics *ret)
{
	if (strcmp(g->live, sample->live) != 0 || !*sample->live) {
		*ret = (struct bl_metrics){ 0 };
		bl_text_copy(g->live, sizeof(g->live), sample->live);
		begin(g, sample, now_ms);
	} else if (went_back(&g->first, sample) || now_ms < g->begun_ms) {
		begin(g, sample, now_ms);
	} else if (now_ms - g->begun_ms >= BL_GAUGE_WINDOW_MS) {
		measure(&g->first, sample, now_ms - g->begun_ms, ret);
		begin(g, sample, now_ms);
	}
	/* Borrowed from the caller, and not looked at. */
	g->first.live = NULL;
}
