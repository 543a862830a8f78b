/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/compare_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "tests/main.h"

#define CATALOG BL_TEST_SOURCE_DIR "/tests/faults/catalog.json"

static const char *const kernels[] = {
	"5.10.0-33-cloud-amd64",
	"6.1.0-37-cloud-amd64",
	"6.12.95+deb12-cloud-amd64",
};

static const char *const quiet[] = { "stack-leak",   "blind",
				     "replay-older", "replay-tombstoned",
				     "event-flood",  "bundle-flipped" };

/* A number that looks like chance and is the same every time. */
static unsigned chance(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % below;
}

static bool is_quiet(const char *id)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(quiet); i++)
		if (strcmp(id, quiet[i]) == 0)
			return true;
	return false;
}

static void say(struct bl_compare_result *r, int64_t t_ms, const char *host,
		const char *text)
{
	ck_assert_int_eq(bl_compare_say(r, t_ms, host, "%s", text), 0);
}

static void down(struct bl_compare_result *r, int64_t t_ms, unsigned hosts)
{
	ck_assert_int_eq(bl_compare_down(r, t_ms, hosts), 0);
}

static void add_console(struct bl_compare_result *r, const char *host,
			unsigned times)
{
	bl_autobuf struct bl_buf text = { 0 };
	unsigned i;

	for (i = 0; i < times; i++)
		ck_assert_int_eq(
			bl_buf_printf(
				&text,
				"[    %u.214817] BUG: kernel NULL pointer dereference, address: 0000000000000018\n"
				"[    %u.214903] #PF: supervisor read access in kernel mode\n"
				"[    %u.215010] RIP: 0010:seen_before+0x3c/0x70 [belay_sensor]\n"
				"[    %u.215241] Call Trace:\n"
				"[    %u.215266]  on_exec+0x91/0x1c0 [belay_sensor]\n"
				"[    %u.215310]  bprm_execve+0x2b1/0x6c0\n"
				"[    %u.216004] Kernel panic - not syncing: Fatal exception\n"
				"[    %u.216120] Rebooting in 1 seconds..\n",
				4 + i, 4 + i, 4 + i, 4 + i, 4 + i, 4 + i, 4 + i,
				4 + i),
			0);
	ck_assert_int_eq(bl_buf_printf(&text, "%s\n", COMPARE_FIXTURE_HOSTILE),
			 0);
	ck_assert_int_eq(bl_compare_log(r, host, bl_buf_str(&text)), 0);
}

/* The module on every host: they crash, come up, load it and crash again. */
static void fill_pushed(struct bl_compare_result *r, bool harmless,
			unsigned *seed)
{
	char host[32];
	unsigned i;

	r->exposed = r->hosts;
	say(r, 0, "", "the module is on every host, loaded at boot");
	down(r, 0, 0);
	if (harmless) {
		say(r, 900, "", "loaded on 3 of 3 hosts; every beat is good");
		down(r, 60000, 0);
		return;
	}
	r->lost = r->hosts;
	r->crashes = 12 + chance(seed, 9);
	r->reboots = r->crashes;
	r->attributed = BL_COMPARE_NOT_BLAMED;
	r->recover_ms = BL_COMPARE_NEVER;
	for (i = 0; i < r->hosts; i++) {
		unsigned t = 1200 + i * 700 + chance(seed, 500);

		snprintf(host, sizeof(host), "host-%u", i + 1);
		say(r, t, host, "kernel panic in belay_sensor; reset");
		down(r, t, i + 1);
		r->outage_ms += 60000 - t;
		add_console(r, host, 3);
	}
	say(r, 21000, "host-1", "booted, loaded the module, panicked again");
	say(r, 60000, "", "no host is usable; the watch ends");
	down(r, 60000, r->hosts);
}

/* Past the gate, under belay: one host tries it. */
static void fill_belay(struct bl_compare_result *r, unsigned *seed)
{
	unsigned begin = 1400 + chance(seed, 900), back;
	bool crash = r->past_gate == BL_COMPARE_BOOT_LOOP ||
		     r->past_gate == BL_COMPARE_WATCHDOG;

	say(r, 0, "", "rollout started (override: compare: past the gate)");
	down(r, 0, 0);
	if (r->past_gate == BL_COMPARE_VERIFIER ||
	    r->past_gate == BL_COMPARE_GATE) {
		r->exposed = 1;
		say(r, begin, "host-1",
		    "the kernel refused to load it; last-good stays attached");
		say(r, begin + 300, "", "rollout failed; nobody else got it");
		down(r, 12000, 0);
		return;
	}
	r->exposed = 1;
	say(r, begin, "host-1", "trial begins: old generation stays pinned");
	if (!crash) {
		say(r, begin + 5000, "host-1",
		    r->past_gate == BL_COMPARE_TRIAL
			    ? "trial failed: no event was seen; rolled back"
			    : "committed");
		down(r, 20000, 0);
		return;
	}
	r->crashes = r->reboots = 1;
	r->attributed = BL_COMPARE_BLAMED;
	back = begin + (r->past_gate == BL_COMPARE_WATCHDOG ? 19000 : 5000) +
	       chance(seed, 3000);
	r->outage_ms = r->recover_ms = back - begin - 400;
	say(r, begin + 400, "host-1", "no beat: the kernel is gone");
	down(r, begin + 400, 1);
	say(r, back - 2000, "host-1",
	    "booted; an open trial from another boot: rolled back, tombstone");
	say(r, back, "host-1", "usable, on last-good");
	down(r, back, 0);
	down(r, back + 12000, 0);
	ck_assert_int_eq(
		bl_compare_evidence(
			r, "host-1",
			"pstore: RIP: 0010:seen_before+0x3c/0x70 [belay_sensor]: names the version on trial"),
		0);
	add_console(r, "host-1", 1);
}

static void fill_gate(struct bl_compare_result *r, const char *expected)
{
	bool rejects = strcmp(expected, "never") != 0 &&
		       strcmp(expected, "unaffected") != 0;

	r->gate.verdict = rejects ? BL_COMPARE_REJECTED : BL_COMPARE_ACCEPTED;
	if (rejects)
		bl_text_copy(r->gate.check, sizeof(r->gate.check),
			     strcmp(expected, "gate") == 0 ? "policy"
							   : expected);
	ck_assert_int_eq(
		bl_compare_set(
			&r->gate.words,
			rejects ? "REJECTED  exercise on 6.1.0-37-cloud-amd64\n  the guest's kernel panicked while the sensor was exercised:\n  BUG: kernel NULL pointer dereference, RIP: seen_before+0x3c [belay_sensor]\n"
				: "ACCEPTED  14 checks passed on 3 kernels\n"),
		0);
}

/* What is expected of @way on hosts; NULL where there is no variant. */
static const char *expected_of(const json_t *fault, enum bl_compare_way way,
			       const char *part)
{
	const json_t *e = json_object_get(json_object_get(fault, "expect"),
					  bl_compare_way_name(way));

	return json_string_value(
		way == BL_COMPARE_A ? e : json_object_get(e, part));
}

static void add_run(struct bl_compare *c, const json_t *fault,
		    const char *kernel, enum bl_compare_way way, unsigned *seed)
{
	bl_autocompare_result struct bl_compare_result r = {
		.way = way,
		.hosts = COMPARE_FIXTURE_HOSTS,
		.as_expected = true,
		.took_ms = 20000 + chance(seed, 40000),
		.belay = "0.1.0",
		.variant =
			"0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c0f3c",
	};
	const char *id = bl_compare_fault_text(fault, "id");
	const char *gate = expected_of(fault, way, "gate");
	const char *past = expected_of(fault, way, "past");
	unsigned i;

	if (!past || bl_compare_fault_none(fault, way))
		return;
	bl_text_copy(r.fault, sizeof(r.fault), id);
	bl_text_copy(r.kernel, sizeof(r.kernel), kernel);
	ck_assert(bl_compare_stop_find(past, &r.past_gate));
	r.stopped_by = r.past_gate;
	if (way == BL_COMPARE_A) {
		fill_pushed(&r,
			    is_quiet(id) ||
				    r.past_gate == BL_COMPARE_UNAFFECTED,
			    seed);
	} else {
		fill_gate(&r, gate);
		if (r.gate.verdict == BL_COMPARE_REJECTED)
			ck_assert(bl_compare_stop_find(gate, &r.stopped_by));
		fill_belay(&r, seed);
	}
	for (i = 0; i < r.hosts; i++)
		ck_assert_int_eq(
			bl_compare_live(&r, r.lost ? "" : "sensor 1.0.0"), 0);
	/* One of each kind that a long night brings. */
	if (strcmp(id, "agent-loop") == 0 && way == BL_COMPARE_B)
		ck_assert_int_eq(
			bl_compare_set(
				&r.failed,
				"host-2 did not come up in 90 s before the fault was there"),
			0);
	if (strcmp(id, "late") == 0 && way == BL_COMPARE_C)
		r.as_expected = false;
	if (strcmp(id, "one-stratum") == 0 && way == BL_COMPARE_C)
		return;
	ck_assert_int_eq(bl_compare_add(c, &r), 0);
}

static json_t *side(double instructions, double ns)
{
	return json_pack("{s:f,s:f,s:f}", "instructions", instructions,
			 "spread_percent", 0.4, "ns_emulated", ns);
}

static json_t *overhead(void)
{
	static const char *const events[] = { "exec", "open", "connect" };
	static const char *const outcomes[] = { "filtered", "emitted" };
	static const int sizes[] = { 0, 100, 100000 };
	json_t *cases = json_array(), *all;
	unsigned e, o, s;

	for (e = 0; e < 3; e++)
		for (o = 0; o < 2; o++)
			for (s = 0; s < 3; s++) {
				double m = 180 + 90 * e + 260 * o +
					   (s ? 140 + 30 * s : 0);

				json_array_append_new(
					cases,
					json_pack(
						"{s:s,s:s,s:i,s:o,s:o,s:o,s:o,s:f,s:f}",
						"event", events[e], "outcome",
						outcomes[o], "indicators",
						sizes[s], "baseline",
						json_pack("{s:f,s:f}",
							  "instructions",
							  5210.0 * (e + 1),
							  "ns_emulated",
							  31000.0 * (e + 1)),
						"module", side(m, m * 5),
						"ebpf_dispatch",
						side(m * 1.24, m * 6.3),
						"ebpf_direct",
						side(m * 1.12, m * 5.7),
						"ratio_dispatch", 1.24,
						"ratio_direct", 1.12));
			}
	all = json_pack(
		"{s:i,s:s,s:s,s:[{s:s,s:f,s:f,s:b}],s:o,s:[{s:s,s:i,s:i,s:i,s:f},{s:s,s:i,s:i,s:i,s:f}]}",
		"schema", 1, "kernel", kernels[1], "note",
		"Instructions are exact; time under emulation is not time on hardware.",
		"goals", "what", "eBPF / module, instructions, filtered",
		"value", 1.24, "to_reach", 1.3, "reached", 1, "cases", cases,
		"drops", "way", "module", "sent", 200000, "read", 199020,
		"dropped", 980, "percent", 0.49, "way", "ebpf-dispatch", "sent",
		200000, "read", 198400, "dropped", 1600, "percent", 0.8);
	json_object_set_new(
		all, "peers",
		json_pack(
			"[{s:s,s:s,s:b,s:n,s:[{s:s,s:s,s:f,s:f,s:i}]},{s:s,s:s,s:b,s:s,s:[]}]",
			"name", "bpftrace", "what", "one script", "there", 1,
			"why", "cases", "event", "open", "outcome", "filtered",
			"instructions", 5400.0, "ns_emulated", 3000.0,
			"reported", 0, "name", "sysdig", "what",
			"with its module", "there", 0, "why",
			"its module does not build", "cases"));
	json_object_set_new(
		all, "native",
		json_pack("{s:s,s:i,s:[{s:s,s:b,s:i,s:f,s:s},{s:s,s:b,s:s}]}",
			  "kernel", "6.18.44", "to_reach", 70, "cases", "event",
			  "open", "measured", 1, "indicators", 100, "ns", 58.4,
			  "how", "by turns", "event", "connect", "measured", 0,
			  "why", "this kernel refuses it"));
	return all;
}

void compare_fixture(struct bl_compare *ret)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_compare c = { .made = "a fixture, not measured",
				.belay = "0.1.0" };
	struct bl_err err = { 0 };
	unsigned way, seed = 20240719;
	json_t *fault;
	size_t i, k;

	ck_assert_msg(bl_json_load(CATALOG, 4u << 20, &doc, &err) == 0, "%s",
		      err.text);
	c.faults = json_deep_copy(json_object_get(doc.root, "faults"));
	ck_assert_uint_gt(json_array_size(c.faults), 0);
	for (k = 0; k < BL_ARRAY_SIZE(kernels); k++) {
		bl_text_copy(c.kernels[c.kernel_count++], BL_COMPARE_KERNEL_MAX,
			     kernels[k]);
		json_array_foreach (c.faults, i, fault)
			for (way = 0; way < BL_COMPARE_WAYS; way++)
				add_run(&c, fault, kernels[k], way, &seed);
	}
	fault = json_array_get(c.faults, json_array_size(c.faults) - 1);
	json_object_set_new(fault, "what",
			    json_string(COMPARE_FIXTURE_HOSTILE));
	c.overhead = overhead();
	ck_assert_ptr_nonnull(c.overhead);
	*ret = c;
}
