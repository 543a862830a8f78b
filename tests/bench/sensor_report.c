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

static const struct {
	const char *name, *what;
} peers[SENSOR_PEERS] = {
	{ "bpftrace",
	  "one script with the same three hooks and fields, its three targets compared in the kernel; of an exec the path as it was given" },
	{ "sysdig",
	  "with its module, which is Falco's: every system call of every process goes to user space, where the filter for the three targets is" },
};

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

static int peer_of(const char *name)
{
	for (int i = 0; i < SENSOR_PEERS; i++)
		if (strcmp(peers[i].name, name) == 0)
			return i;
	return -1;
}

void sensor_report_absent(struct sensor_report *r, const char *peer,
			  const char *why)
{
	int p = peer_of(peer);

	if (p >= 0)
		snprintf(r->peers[p].why, sizeof(r->peers[p].why), "%.*s",
			 (int)strcspn(why, "\n"), why);
}

static bool read_peer(struct sensor_report *r, enum sensor_clock clock,
		      const char *line)
{
	char name[16], event[16], outcome[16];
	unsigned long reported;
	double value;
	int p, k, o;

	if (sscanf(line, "%15s %15s %15s %lf %lu", name, event, outcome, &value,
		   &reported) != 5)
		return false;
	p = peer_of(name);
	k = kind_of(event);
	o = index_of(sensor_outcome_names, SENSOR_ELSEWHERE, outcome);
	if (p < 0 || k < 0 || k >= SENSOR_PEER_KINDS || o < 0)
		return false;
	r->peers[p].value[clock][k][o] = value;
	if (clock == SENSOR_INSTRUCTIONS)
		r->peers[p].reported[k][o] = reported;
	return true;
}

static bool read_peer_none(struct sensor_report *r, const char *line)
{
	char name[16];
	int at = 0;

	if (sscanf(line, "%15s %n", name, &at) != 1 || !at)
		return false;
	sensor_report_absent(r, name, line + at);
	return true;
}

static void scale(struct sensor_report *r, enum sensor_clock clock, double by)
{
	struct sensor_samples *s = &r->samples[clock][0][0][0][0];
	size_t count = sizeof(r->samples[clock]) / sizeof(*s);

	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; k < s[i].count; k++)
			s[i].value[k] *= by;
	for (int p = 0; p < SENSOR_PEERS; p++)
		for (int k = 0; k < SENSOR_PEER_KINDS; k++)
			for (int o = 0; o < SENSOR_ELSEWHERE; o++)
				r->peers[p].value[clock][k][o] *= by;
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
		else if (strncmp(at, "peer ", 5) == 0)
			good = read_peer(r, clock, at + 5);
		else if (strncmp(at, "peer_none ", 10) == 0)
			good = read_peer_none(r, at + 10);
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

/* What is no question, once is enough. */
static bool asked(struct where at)
{
	return at.outcome != SENSOR_ELSEWHERE ||
	       (at.kind == BL_EVENT_DNS && at.indicators == SENSOR_SOME);
}

/* What sees DNS is only there for content that says something of it. */
static bool absent(struct where at)
{
	return at.kind == BL_EVENT_DNS && at.outcome == SENSOR_FILTERED &&
	       at.indicators == SENSOR_NONE;
}

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

/* 0: a cost is lost in what an operation itself varies by. */
static double ratio(struct sensor_report *r, enum sensor_way way,
		    struct where at)
{
	double module = cost(r, SENSOR_INSTRUCTIONS, SENSOR_MODULE, at);
	double ours = cost(r, SENSOR_INSTRUCTIONS, way, at);

	return module > 0 && ours > 0 && !absent(at) ? ours / module : 0;
}

static json_t *must(json_t *j)
{
	struct bl_err err = { .text = "out of memory" };

	bench_need(j ? 0 : -ENOMEM, &err);
	return j;
}

static json_t *positive(double v)
{
	return must(v > 0 ? json_real(v) : json_null());
}

/* By how much turns differ, in parts of 100 of the cost; null: as for ratio(). */
static json_t *spread_percent(struct sensor_report *r, enum sensor_way way,
			      struct where at)
{
	struct sensor_samples *s = samples(r, SENSOR_INSTRUCTIONS, way, at);
	double of = cost(r, SENSOR_INSTRUCTIONS, way, at); /* sorts them */

	if (of <= 0)
		return must(json_null());
	return must(
		json_real((s->value[s->count - 1] - s->value[0]) * 100 / of));
}

static json_t *side(struct sensor_report *r, enum sensor_way way,
		    struct where at)
{
	return must(json_pack("{s:f, s:o, s:f}", "instructions",
			      cost(r, SENSOR_INSTRUCTIONS, way, at),
			      "spread_percent", spread_percent(r, way, at),
			      "ns_emulated", cost(r, SENSOR_NS, way, at)));
}

static json_t *one_case(struct sensor_report *r, struct where at)
{
	return must(json_pack(
		"{s:s, s:s, s:i, s:{s:f, s:f}, s:o, s:o, s:o, s:o, s:o}",
		"event", bl_event_kind_name(at.kind), "outcome",
		sensor_outcome_names[at.outcome], "indicators",
		atoi(indicator_names[at.indicators]), "baseline",
		"instructions", baseline(r, SENSOR_INSTRUCTIONS, at),
		"ns_emulated", baseline(r, SENSOR_NS, at), "module",
		side(r, SENSOR_MODULE, at), "ebpf_dispatch",
		side(r, SENSOR_DISPATCH, at), "ebpf_direct",
		side(r, SENSOR_DIRECT, at), "ratio_dispatch",
		positive(ratio(r, SENSOR_DISPATCH, at)), "ratio_direct",
		positive(ratio(r, SENSOR_DIRECT, at))));
}

static void add_row(struct sensor_report *r, struct where at)
{
	bool filtered = at.outcome == SENSOR_FILTERED;
	bl_autofree char *what = bl_path("%s, %s, %s indicators",
					 bl_event_kind_name(at.kind),
					 sensor_outcome_names[at.outcome],
					 indicator_names[at.indicators]);
	bl_autofree char *how = bl_path(
		"eBPF behind the dispatcher, %.0f directly; the same bytes of content; each event timed by itself, less the same without a sensor; on %s",
		cost(r, SENSOR_INSTRUCTIONS, SENSOR_DIRECT, at), r->kernel);
	double module = cost(r, SENSOR_INSTRUCTIONS, SENSOR_MODULE, at);

	bench_add(&(struct bench_value){
		.what = what,
		.unit = "instr.",
		.better = "lower",
		.value = cost(r, SENSOR_INSTRUCTIONS, SENSOR_DISPATCH, at),
		.to_reach = filtered && !absent(at) ? module * RATIO_TO_REACH
						    : 0,
		.peer = absent(at) ? NULL : "kernel module",
		.peer_value = module,
		.how = how,
	});
}

/* What was not measured (@why) is neither reached nor missed. */
static json_t *goal(const char *what, double value, double to_reach,
		    const char *why)
{
	return must(json_pack(
		"{s:s, s:o, s:f, s:o, s:s?}", "what", what, "value",
		why ? json_null() : json_real(value), "to_reach", to_reach,
		"reached", why ? json_null() : json_boolean(value <= to_reach),
		"why", why));
}

/* The worst of the events, filtered, with that many indicators: one that cannot
 * be divided may be the worst, so that there is no worst then. */
static json_t *ratio_goal(struct sensor_report *r, enum sensor_indicators n,
			  const char *what)
{
	char lost[BL_EVENT_KINDS * 16] = "";
	bl_autofree char *why = NULL;
	double worst = 0;

	for (int k = 0; k < BL_EVENT_KINDS; k++) {
		struct where at = { (enum bl_event_kind)k, SENSOR_FILTERED, n };
		double is = ratio(r, SENSOR_DISPATCH, at);
		size_t len = strlen(lost);

		worst = is > worst ? is : worst;
		if (is <= 0 && !absent(at))
			snprintf(lost + len, sizeof(lost) - len, "%s%s",
				 len ? ", " : "", bl_event_kind_name(at.kind));
	}
	if (*lost)
		why = bl_path(
			"%s: what a sensor costs is lost in what the operation itself varies by",
			lost);
	return goal(what, worst, RATIO_TO_REACH, why);
}

static double worst_native(const struct sensor_report *r, int indicators)
{
	double worst = 0;
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(r->native, "cases"), i, one) {
		double ns = json_number_value(json_object_get(one, "ns"));

		if (json_integer_value(json_object_get(one, "indicators")) ==
			    indicators &&
		    ns > worst)
			worst = ns;
	}
	return worst;
}

/* Nothing to look for is another path than something to compare with. */
static json_t *goals(struct sensor_report *r)
{
	double ns_to_reach =
		json_number_value(json_object_get(r->native, "to_reach"));
	json_t *list = must(json_array());

	for (int n = 0; n < SENSOR_SIZES; n++) {
		bl_autofree char *what = bl_path(
			"instructions per filtered event with %s indicators, eBPF behind the dispatcher / module, the worst of exec, open, connect%s",
			indicator_names[n], n == SENSOR_NONE ? "" : ", dns");
		bl_autofree char *native = bl_path(
			"nanoseconds per filtered event with %s indicators on the machine's own kernel, the worst of what it takes",
			indicator_names[n]);
		double ns = worst_native(r, atoi(indicator_names[n]));

		json_array_append_new(
			list, ratio_goal(r, (enum sensor_indicators)n, what));
		if (ns > 0)
			json_array_append_new(list, goal(native, ns,
							 ns_to_reach, NULL));
	}
	return list;
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

static json_t *peer_cases(struct sensor_report *r, const struct sensor_peer *p)
{
	json_t *cases = must(json_array());

	for (int k = 0; k < SENSOR_PEER_KINDS; k++)
		for (int o = 0; o < SENSOR_ELSEWHERE; o++) {
			struct where at = { .kind = (enum bl_event_kind)k,
					    .outcome = (enum sensor_outcome)o };

			json_array_append_new(
				cases,
				must(json_pack(
					"{s:s, s:s, s:f, s:f, s:I}", "event",
					bl_event_kind_name(at.kind), "outcome",
					sensor_outcome_names[o], "instructions",
					p->value[SENSOR_INSTRUCTIONS][k][o] -
						baseline(r, SENSOR_INSTRUCTIONS,
							 at),
					"ns_emulated",
					p->value[SENSOR_NS][k][o] -
						baseline(r, SENSOR_NS, at),
					"reported",
					(json_int_t)p->reported[k][o])));
		}
	return cases;
}

static json_t *all_peers(struct sensor_report *r)
{
	json_t *list = must(json_array());

	for (int i = 0; i < SENSOR_PEERS; i++) {
		struct sensor_peer *p = &r->peers[i];
		bool there = !*p->why;

		json_array_append_new(
			list,
			must(json_pack("{s:s, s:s, s:b, s:o, s:o}", "name",
				       peers[i].name, "what", peers[i].what,
				       "there", there, "why",
				       there ? json_null()
					     : must(json_string(p->why)),
				       "cases",
				       there ? peer_cases(r, p)
					     : must(json_array()))));
	}
	return list;
}

static void add_drops(const struct sensor_report *r)
{
	const struct sensor_flood *ours = &r->flood[SENSOR_DISPATCH];
	const struct sensor_flood *module = &r->flood[SENSOR_MODULE];

	bench_add(&(struct bench_value){
		.what = "dropped at saturation",
		.unit = "%",
		.better = "lower",
		.value = (double)ours->dropped * 100 / (double)ours->sent,
		.peer = "kernel module",
		.peer_value =
			(double)module->dropped * 100 / (double)module->sent,
		.how = "60,000 connects without a pause, a reader that is the last in line, 1 MiB of ring on one processor; what was read and what was dropped add up",
	});
}

static void add_native(const json_t *native)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(native, "cases"), i, one) {
		const char *event =
			json_string_value(json_object_get(one, "event"));
		bl_autofree char *what = bl_path(
			"%s, filtered, %lld indicators, natively", event,
			json_integer_value(json_object_get(one, "indicators")));

		if (!json_is_true(json_object_get(one, "measured")))
			continue;
		bench_add(&(struct bench_value){
			.what = what,
			.unit = "ns",
			.better = "lower",
			.value = json_number_value(json_object_get(one, "ns")),
			.to_reach = json_number_value(
				json_object_get(native, "to_reach")),
			.how = json_string_value(json_object_get(one, "how")),
		});
	}
}

static void add_peer(struct sensor_report *r, int i, enum bl_event_kind kind)
{
	bl_autofree char *what = bl_path(
		"%s, filtered, %s", bl_event_kind_name(kind), peers[i].name);
	struct where at = { kind, SENSOR_FILTERED, SENSOR_SOME };

	bench_add(&(struct bench_value){
		.what = what,
		.unit = "instr.",
		.better = "lower",
		.value = cost(r, SENSOR_INSTRUCTIONS, SENSOR_DISPATCH, at),
		.peer = peers[i].name,
		.peer_value = r->peers[i].value[SENSOR_INSTRUCTIONS][kind]
					       [SENSOR_FILTERED] -
			      baseline(r, SENSOR_INSTRUCTIONS, at),
		.how = peers[i].what,
	});
}

/* What no row can say. */
static void say(const struct sensor_report *r)
{
	const json_t *one;
	size_t i;

	printf("%s\n\n", note);
	for (i = 0; i < SENSOR_PEERS; i++)
		if (*r->peers[i].why)
			printf("%s is not there: %s\n", peers[i].name,
			       r->peers[i].why);
	json_array_foreach (json_object_get(r->native, "cases"), i, one) {
		if (json_is_true(json_object_get(one, "measured")))
			continue;
		printf("%s was not measured natively: %s\n",
		       json_string_value(json_object_get(one, "event")),
		       json_string_value(json_object_get(one, "why")));
	}
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

				if (!asked(at))
					continue;
				json_array_append_new(cases, one_case(r, at));
				add_row(r, at);
			}
	for (int i = 0; i < SENSOR_PEERS; i++)
		for (int k = 0; k < SENSOR_PEER_KINDS && !*r->peers[i].why; k++)
			add_peer(r, i, (enum bl_event_kind)k);
	add_drops(r);
	add_native(must(r->native));
	say(r);
	all = must(json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o}",
			     "schema", 1, "kernel", r->kernel, "note", note,
			     "goals", goals(r), "cases", cases, "drops",
			     drops(r), "peers", all_peers(r), "native",
			     must(r->native)));
	text = bl_json_dump(all);
	bench_need(path && text
			   ? bl_file_write(path, text, strlen(text), 0644, &err)
			   : -ENOMEM,
		   &err);
}
