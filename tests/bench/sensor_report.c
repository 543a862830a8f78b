/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/sensor_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/bundle/content.h"
#include "tests/bench/bench.h"

#define RATIO_TO_REACH 1.3

static const char note[] =
	"Measured under emulation (QEMU, TCG). Time there is not time on hardware: an emulated load costs what an emulated division does, and there are no caches to miss. Instructions are counted exactly and are the same in every run; what a processor makes of them is another matter.";

static const char *const way_names[SENSOR_WAYS] = { "baseline", "module",
						    "ebpf-dispatch",
						    "ebpf-direct" };

static const char *const indicator_names[SENSOR_SIZES] = { "0", "100",
							   "100000" };

/* --- reading -------------------------------------------------------------- */

static int index_of(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int kind_of(const char *name)
{
	for (unsigned k = 0; k < BL_EVENT_KINDS; k++)
		if (strcmp(bl_event_kind_name(k), name) == 0)
			return (int)k;
	return -1;
}

static bool read_case(struct sensor_report *r, enum sensor_clock clock,
		      const char *line)
{
	char way[16], event[16], outcome[16], indicators[16];
	struct sensor_samples *s;
	int w, k, o, n;
	double value;

	if (sscanf(line, "%15s %15s %15s %15s %lf", way, event, outcome,
		   indicators, &value) != 5)
		return false;
	w = index_of(way_names, SENSOR_WAYS, way);
	k = kind_of(event);
	o = index_of(sensor_outcome_names, SENSOR_OUTCOMES, outcome);
	n = index_of(indicator_names, SENSOR_SIZES, indicators);
	if (w < 0 || k < 0 || o < 0 || n < 0)
		return false;
	s = &r->samples[clock][w][k][o][n];
	if (s->count < SENSOR_TURNS_MAX)
		s->value[s->count++] = value;
	return true;
}

/* Those of the clock that counts instructions: the same in every run. */
static bool read_drops(struct sensor_report *r, enum sensor_clock clock,
		       const char *line)
{
	struct sensor_flood f;
	char way[16];
	int w;

	if (sscanf(line, "%15s %llu %llu %llu", way, &f.sent, &f.read,
		   &f.dropped) != 4)
		return false;
	w = index_of(way_names, SENSOR_WAYS, way);
	if (w >= 0 && clock == SENSOR_INSTRUCTIONS)
		r->flood[w] = f;
	return w >= 0;
}

static void scale(struct sensor_report *r, enum sensor_clock clock, double by)
{
	struct sensor_samples *s = &r->samples[clock][0][0][0][0];
	size_t count = sizeof(r->samples[clock]) / sizeof(*s);

	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; k < s[i].count; k++)
			s[i].value[k] *= by;
}

int sensor_report_read(struct sensor_report *r, enum sensor_clock clock,
		       const char *output, struct bl_err *err)
{
	const char *at = output;
	double ns_per_tick = 0;
	bool good = true;

	while (good && (at = strstr(at, "@@"))) {
		at += 2;
		if (strncmp(at, "end", 3) == 0)
			break;
		if (strncmp(at, "case ", 5) == 0)
			good = read_case(r, clock, at + 5);
		else if (strncmp(at, "drops ", 6) == 0)
			good = read_drops(r, clock, at + 6);
		else
			good = sscanf(at, "ns_per_tick %lf", &ns_per_tick) == 1;
	}
	if (!good || !at || ns_per_tick <= 0)
		return bl_err_set(err, -EBADMSG, "what is '@@%.60s'?",
				  at ? at : "end of output");
	if (clock == SENSOR_NS)
		scale(r, clock, ns_per_tick);
	return 0;
}

/* --- what it comes to ----------------------------------------------------- */

struct where {
	enum bl_event_kind kind;
	enum sensor_outcome outcome;
	enum sensor_indicators indicators;
};

static struct sensor_samples *samples(struct sensor_report *r,
				      enum sensor_clock clock,
				      enum sensor_way way, struct where at)
{
	return &r->samples[clock][way][at.kind][at.outcome][at.indicators];
}

static double median(struct sensor_samples *s)
{
	return bench_median(s->value, s->count);
}

/* Without a sensor there is no content, so all of its turns are of one thing. */
static double baseline(struct sensor_report *r, enum sensor_clock clock,
		       struct where at)
{
	double all[SENSOR_SIZES * SENSOR_TURNS_MAX];
	unsigned n = 0;

	for (int i = 0; i < SENSOR_SIZES; i++) {
		const struct sensor_samples *s;

		at.indicators = (enum sensor_indicators)i;
		s = samples(r, clock, SENSOR_BASELINE, at);
		memcpy(all + n, s->value, s->count * sizeof(*all));
		n += s->count;
	}
	return bench_median(all, n);
}

/* Of one event: with that sensor, less without any. */
static double cost(struct sensor_report *r, enum sensor_clock clock,
		   enum sensor_way way, struct where at)
{
	return median(samples(r, clock, way, at)) - baseline(r, clock, at);
}

static double ratio(struct sensor_report *r, enum sensor_way way,
		    struct where at)
{
	return cost(r, SENSOR_INSTRUCTIONS, way, at) /
	       cost(r, SENSOR_INSTRUCTIONS, SENSOR_MODULE, at);
}

/* By how much turns differ, in parts of 100 of the cost. */
static double spread_percent(struct sensor_report *r, enum sensor_way way,
			     struct where at)
{
	struct sensor_samples *s = samples(r, SENSOR_INSTRUCTIONS, way, at);

	return (s->value[s->count - 1] - s->value[0]) * 100 /
	       cost(r, SENSOR_INSTRUCTIONS, way, at);
}

static json_t *must(json_t *j)
{
	struct bl_err err = { .text = "out of memory" };

	bench_need(j ? 0 : -ENOMEM, &err);
	return j;
}

static json_t *side(struct sensor_report *r, enum sensor_way way,
		    struct where at)
{
	return must(json_pack("{s:f, s:f, s:f}", "instructions",
			      cost(r, SENSOR_INSTRUCTIONS, way, at),
			      "spread_percent", spread_percent(r, way, at),
			      "ns_emulated", cost(r, SENSOR_NS, way, at)));
}

static json_t *one_case(struct sensor_report *r, struct where at)
{
	return must(json_pack(
		"{s:s, s:s, s:i, s:{s:f, s:f}, s:o, s:o, s:o, s:f, s:f}",
		"event", bl_event_kind_name(at.kind), "outcome",
		sensor_outcome_names[at.outcome], "indicators",
		atoi(indicator_names[at.indicators]), "baseline",
		"instructions", baseline(r, SENSOR_INSTRUCTIONS, at),
		"ns_emulated", baseline(r, SENSOR_NS, at), "module",
		side(r, SENSOR_MODULE, at), "ebpf_dispatch",
		side(r, SENSOR_DISPATCH, at), "ebpf_direct",
		side(r, SENSOR_DIRECT, at), "ratio_dispatch",
		ratio(r, SENSOR_DISPATCH, at), "ratio_direct",
		ratio(r, SENSOR_DIRECT, at)));
}

static void add_row(struct sensor_report *r, struct where at)
{
	bool filtered = at.outcome == SENSOR_FILTERED;
	bl_autofree char *what = bl_path("%s, %s, %s indicators",
					 bl_event_kind_name(at.kind),
					 sensor_outcome_names[at.outcome],
					 indicator_names[at.indicators]);
	bl_autofree char *how = bl_path(
		"eBPF behind the dispatcher, %.0f directly; the same bytes of content; median of single events, less the same without a sensor; on %s",
		cost(r, SENSOR_INSTRUCTIONS, SENSOR_DIRECT, at), r->kernel);
	double module = cost(r, SENSOR_INSTRUCTIONS, SENSOR_MODULE, at);

	bench_add(&(struct bench_value){
		.what = what,
		.unit = "instr.",
		.better = "lower",
		.value = cost(r, SENSOR_INSTRUCTIONS, SENSOR_DISPATCH, at),
		.to_reach = filtered ? module * RATIO_TO_REACH : 0,
		.peer = "kernel module",
		.peer_value = module,
		.how = how,
	});
}

/* The worst ratio of filtered events is the one that counts. */
static json_t *goals(struct sensor_report *r)
{
	double worst = 0;

	for (int k = 0; k < BL_EVENT_KINDS; k++)
		for (int n = 0; n < SENSOR_SIZES; n++) {
			double is = ratio(
				r, SENSOR_DISPATCH,
				(struct where){ (enum bl_event_kind)k,
						SENSOR_FILTERED,
						(enum sensor_indicators)n });

			worst = is > worst ? is : worst;
		}
	return must(json_pack(
		"[{s:s, s:f, s:f, s:b}]", "what",
		"instructions per filtered event, eBPF behind the dispatcher / module, the worst of all cases",
		"value", worst, "to_reach", RATIO_TO_REACH, "reached",
		worst <= RATIO_TO_REACH));
}

static json_t *drops(const struct sensor_report *r)
{
	json_t *list = must(json_array());

	for (int way = SENSOR_MODULE; way < SENSOR_WAYS; way++) {
		const struct sensor_flood *f = &r->flood[way];

		json_array_append_new(
			list,
			must(json_pack(
				"{s:s, s:I, s:I, s:I, s:f}", "way",
				way_names[way], "sent", (json_int_t)f->sent,
				"read", (json_int_t)f->read, "dropped",
				(json_int_t)f->dropped, "percent",
				(double)f->dropped * 100 / (double)f->sent)));
	}
	return list;
}

void sensor_report_write(struct sensor_report *r)
{
	bl_autofree char *path =
		bl_path("%s/sensor.overhead.json", bench_dir());
	bl_autofree char *text = NULL;
	json_t *cases = must(json_array()), *all;
	struct bl_err err = { .text = "out of memory" };

	for (int k = 0; k < BL_EVENT_KINDS; k++)
		for (int o = 0; o < SENSOR_OUTCOMES; o++)
			for (int n = 0; n < SENSOR_SIZES; n++) {
				struct where at = { (enum bl_event_kind)k,
						    (enum sensor_outcome)o,
						    (enum sensor_indicators)n };

				json_array_append_new(cases, one_case(r, at));
				add_row(r, at);
			}
	all = must(json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "schema", 1,
			     "kernel", r->kernel, "note", note, "goals",
			     goals(r), "cases", cases, "drops", drops(r),
			     "native", must(r->native)));
	text = bl_json_dump(all);
	bench_need(path && text
			   ? bl_file_write(path, text, strlen(text), 0644, &err)
			   : -ENOMEM,
		   &err);
}
