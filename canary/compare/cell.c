/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/cell.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *sign, *words;
} endings[BL_COMPARE_ENDINGS] = {
	[BL_COMPARE_HELD] = { "held", "+", "stopped before any host was down" },
	[BL_COMPARE_NO_EFFECT] = { "no-effect", "=",
				   "did nothing that had to be stopped" },
	[BL_COMPARE_RECOVERED] = { "recovered", "~",
				   "hosts went down and came back by themselves" },
	[BL_COMPARE_GOES_ON] = { "goes-on", "!",
				 "every host is up, and nothing stopped it" },
	[BL_COMPARE_LOST] = { "lost", "X", "hosts did not come back" },
	[BL_COMPARE_NOT_DONE] = { "not-done", "?",
				  "the run could not be made" },
	[BL_COMPARE_NOT_RUN] = { "not-run", ".", "not run yet" },
	[BL_COMPARE_NO_VARIANT] = { "no-variant", "-",
				    "there is no such variant" },
};

static const struct {
	const char *title, *words;
} ways[BL_COMPARE_WAYS] = {
	[BL_COMPARE_A] = { "Module, pushed to all",
			   "the module on every host at once, loaded at boot, without belay" },
	[BL_COMPARE_B] = { "Module under belay",
			   "the same module as a bundle that belay rolls out" },
	[BL_COMPARE_C] = { "eBPF under belay",
			   "the same sensor as eBPF programs that belay rolls out" },
};

const char *bl_compare_ending_name(enum bl_compare_ending ending)
{
	return endings[ending].name;
}

const char *bl_compare_ending_words(enum bl_compare_ending ending)
{
	return endings[ending].words;
}

const char *bl_compare_ending_sign(enum bl_compare_ending ending)
{
	return endings[ending].sign;
}

const char *bl_compare_way_title(enum bl_compare_way way)
{
	return ways[way].title;
}

const char *bl_compare_way_words(enum bl_compare_way way)
{
	return ways[way].words;
}

enum bl_compare_ending bl_compare_ending(const struct bl_compare_result *run)
{
	if (run->failed)
		return BL_COMPARE_NOT_DONE;
	if (run->lost)
		return BL_COMPARE_LOST;
	if (run->past_gate == BL_COMPARE_NOWHERE)
		return BL_COMPARE_GOES_ON;
	if (run->crashes || run->reboots || run->outage_ms)
		return BL_COMPARE_RECOVERED;
	return run->past_gate == BL_COMPARE_UNAFFECTED ? BL_COMPARE_NO_EFFECT
						       : BL_COMPARE_HELD;
}

/* "6.1.0-37" < "6.12": by the numbers before the second dot. */
static bool older(const char *kernel, const char *since)
{
	unsigned k[2] = { 0 }, s[2] = { 0 };

	if (sscanf(kernel, "%u.%u", &k[0], &k[1]) != 2 ||
	    sscanf(since, "%u.%u", &s[0], &s[1]) != 2)
		return false;
	return k[0] != s[0] ? k[0] < s[0] : k[1] < s[1];
}

/* Why there is no such run and never will be; NULL if there can be one. */
static const char *none_on(const json_t *fault, enum bl_compare_way way,
			   const char *kernel)
{
	const json_t *twin =
		json_object_get(fault, way == BL_COMPARE_C ? "ebpf" : "module");
	const char *since = bl_compare_fault_text(twin, "since");

	if (*since && older(kernel, since))
		return "this kernel lacks what the variant is made of";
	return bl_compare_fault_none(fault, way);
}

void bl_compare_cell(const struct bl_compare *c, const json_t *fault,
		     const char *kernel, enum bl_compare_way way,
		     struct bl_compare_cell *ret)
{
	const char *none = none_on(fault, way, kernel);
	struct bl_compare_cell cell = { .why = "" };

	cell.run = bl_compare_find(c, bl_compare_fault_text(fault, "id"),
				   kernel, way);
	if (cell.run) {
		cell.ending = bl_compare_ending(cell.run);
		cell.why = cell.run->failed ? cell.run->failed : "";
	} else {
		cell.ending = none ? BL_COMPARE_NO_VARIANT : BL_COMPARE_NOT_RUN;
		cell.why = none ? none : "";
	}
	*ret = cell;
}

/* Whether there is a run that has numbers. */
static bool measured(const struct bl_compare_cell *cell)
{
	return cell->run && !cell->run->failed;
}

void bl_compare_cell_stop(const struct bl_compare_cell *cell, char *ret,
			  size_t size)
{
	const struct bl_compare_result *r = cell->run;

	if (cell->ending == BL_COMPARE_NO_VARIANT)
		snprintf(ret, size, "no variant");
	else if (!r)
		snprintf(ret, size, "not run");
	else if (r->failed)
		snprintf(ret, size, "undecided");
	else if (r->stopped_by == BL_COMPARE_GATE && *r->gate.check)
		snprintf(ret, size, "gate: %s", r->gate.check);
	else
		snprintf(ret, size, "%s", bl_compare_stop_name(r->stopped_by));
}

const char *bl_compare_cell_past(const struct bl_compare_cell *cell)
{
	return measured(cell) && cell->run->past_gate != cell->run->stopped_by
		       ? bl_compare_stop_name(cell->run->past_gate)
		       : "";
}

void bl_compare_time(int64_t ms, char *ret, size_t size)
{
	long long s = (long long)(ms + 500) / 1000;

	if (ms < 9950)
		snprintf(ret, size, "%.1f s", (double)ms / 1000);
	else if (s < 100)
		snprintf(ret, size, "%lld s", s);
	else
		snprintf(ret, size, "%lld min %02lld s", s / 60, s % 60);
}

void bl_compare_longest(const struct bl_compare_total *t, char *ret,
			size_t size)
{
	if (t->never)
		snprintf(ret, size, "never");
	else if (t->recover_max_ms)
		bl_compare_time(t->recover_max_ms, ret, size);
	else
		snprintf(ret, size, "none was down");
}

void bl_compare_cell_harm(const struct bl_compare_cell *cell, char *ret,
			  size_t size)
{
	const struct bl_compare_result *r = cell->run;
	char what[48] = "", when[32];

	*ret = '\0';
	if (!measured(cell))
		return;
	if (r->lost) {
		snprintf(ret, size, "%u of %u lost", r->lost, r->hosts);
		return;
	}
	if (r->crashes)
		snprintf(what, sizeof(what), "%u crash%s", r->crashes,
			 r->crashes == 1 ? "" : "es");
	else if (r->reboots)
		snprintf(what, sizeof(what), "%u reboot%s", r->reboots,
			 r->reboots == 1 ? "" : "s");
	if (!*what && !r->outage_ms) {
		snprintf(ret, size, "no host down");
		return;
	}
	if (r->recover_ms == BL_COMPARE_NEVER) {
		snprintf(ret, size, "%s%snot well again", what,
			 *what ? ", " : "");
		return;
	}
	bl_compare_time(r->recover_ms, when, sizeof(when));
	snprintf(ret, size, "%s%sback in %s", what, *what ? ", " : "", when);
}

void bl_compare_headline(const struct bl_compare *c, const char *kernel,
			 char *ret, size_t size)
{
	struct bl_compare_total t;
	size_t used = 0;
	unsigned way;
	int n;

	if (size)
		*ret = '\0';
	for (way = 0; way < BL_COMPARE_WAYS && used < size; way++) {
		bl_compare_sum(c, kernel, way, &t);
		if (t.runs == t.failed)
			continue;
		n = snprintf(ret + used, size - used,
			     used ? ", %s %u of %u" : "%s lost %u of %u hosts",
			     bl_compare_way_name(way), t.lost, t.hosts);
		used += n > 0 ? (size_t)n : 0;
	}
}
