/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether belay and veristat say the same of objects that neither wrote: the
 * verdict of every program, and how many instructions the verifier processed.
 *
 * Beside the table this writes agreement.md (a table of objects and kernels,
 * and every disagreement) and agreement.programs.json (all answers). Exit 1 if
 * a disagreement is not explained below.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "tests/bench/bench.h"
#include "tests/bench/peer.h"

/* Where veristat says no although it never asked the verifier (it counts no
 * instruction): what belay notes of such an object, and what that means. */
static const struct {
	const char *note, *why;
} explained[] = {
	{ "has stacks of no size",
	  "Its loader sets the size of its stack map. Belay assumes one and says so; veristat cannot make the map and never asks the verifier." },
};

struct count {
	unsigned agree, counts, accepted, explained, unexplained;
};

static const char *why(const struct peer_program *p)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(explained); i++)
		if (p->ours.notes && strstr(p->ours.notes, explained[i].note) &&
		    p->theirs.there && !p->theirs.accepted && !p->theirs.insns)
			return explained[i].why;
	return NULL;
}

/* One verdict; the number of instructions is another matter. */
static bool same_verdict(enum peer_match m)
{
	return m == PEER_AGREE || m == PEER_COUNTS;
}

static struct count count(const struct peer_result *r)
{
	struct count c = { 0 };
	size_t i;

	for (i = 0; i < r->count; i++) {
		const struct peer_program *p = &r->programs[i];
		enum peer_match m = peer_match(p);

		c.agree += same_verdict(m);
		c.counts += m == PEER_AGREE;
		c.accepted += p->theirs.accepted;
		if (m != PEER_AGREE && why(p))
			c.explained++;
		else if (m != PEER_AGREE)
			c.unexplained++;
	}
	return c;
}

/* Objects in which neither found a program. */
static size_t unopened(const struct peer_set *set, const struct peer_result *r)
{
	size_t n = 0, i, k;

	for (i = 0; i < set->count; i++) {
		for (k = 0; k < r->count; k++)
			if (strcmp(r->programs[k].object, set->objects[i]) == 0)
				break;
		n += k == r->count;
	}
	return n;
}

static void add_rows(const struct peer_set *set, const struct peer_result *r)
{
	const char *release = r->kernel->release;
	struct count c = count(r);
	bl_autofree char *verdicts = bl_path("%s: same verdict", release);
	bl_autofree char *counts =
		bl_path("%s: and same instruction count", release);
	bl_autofree char *how = bl_path(
		"%zu objects of other people's packages with %zu programs, %u of them accepted by veristat; the peer's value is how many programs there are, and %u differ for a reason that is known (agreement.md)",
		set->count - unopened(set, r), r->count, c.accepted,
		c.explained);
	struct bl_err err = { .text = "out of memory" };

	bench_need(verdicts && counts && how ? 0 : -1, &err);
	bench_add(&(struct bench_value){ .what = verdicts,
					 .unit = "programs",
					 .better = "higher",
					 .value = c.agree,
					 .to_reach =
						 (double)r->count - c.explained,
					 .peer = set->veristat,
					 .peer_value = (double)r->count,
					 .how = how });
	bench_add(&(struct bench_value){ .what = counts,
					 .unit = "programs",
					 .better = "higher",
					 .value = c.counts,
					 .to_reach =
						 (double)r->count - c.explained,
					 .peer = set->veristat,
					 .peer_value = (double)r->count,
					 .how = how });
}

static void print_side(FILE *f, const char *who, const struct peer_side *s)
{
	fprintf(f, "%s: %s, %llu instructions", who,
		!s->there     ? "no answer"
		: s->accepted ? "accepted"
			      : "not accepted",
		(unsigned long long)s->insns);
}

/* All of them, or those that are not explained; returns how many. */
static unsigned print_differences(FILE *f, const struct peer_result *r,
				  bool all)
{
	const char *release = r->kernel->release;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < r->count; i++) {
		const struct peer_program *p = &r->programs[i];
		enum peer_match m = peer_match(p);
		const char *because = why(p);

		if (m == PEER_AGREE || (because && !all))
			continue;
		fprintf(f, "- %s, %s, %s: %s; ", release, p->object, p->name,
			peer_match_name(m));
		print_side(f, "belay", &p->ours);
		print_side(f, "; veristat", &p->theirs);
		fprintf(f, ". %s\n", because ? because : "Not explained.");
		if (p->ours.why)
			fprintf(f, "  belay says: %s\n", p->ours.why);
		n++;
	}
	return n;
}

/* "3/4": accepted of all; "-" where nobody answered. */
static void print_cell(FILE *f, const struct peer_result *r, const char *object)
{
	unsigned all = 0, accepted = 0;
	size_t i;

	for (i = 0; i < r->count; i++) {
		const struct peer_program *p = &r->programs[i];

		if (strcmp(p->object, object) != 0)
			continue;
		all++;
		accepted += p->ours.accepted;
	}
	if (all)
		fprintf(f, " %u/%u |", accepted, all);
	else
		fputs(" - |", f);
}

static void write_markdown(const struct peer_set *set,
			   const struct peer_result *r, size_t n)
{
	bl_autofree char *path = bl_path("%s/agreement.md", bench_dir());
	bl_autofclose FILE *f = path ? fopen(path, "we") : NULL;
	struct bl_err err = { .text = "cannot write agreement.md" };
	unsigned differ = 0;
	size_t i, k;

	bench_need(f ? 0 : -1, &err);
	fputs("Programs that belay accepts, of all that the object has; -: no libbpf opens it.\n\n| object |",
	      f);
	for (k = 0; k < n; k++)
		fprintf(f, " %s |", r[k].kernel->release);
	fputs("\n| --- |", f);
	for (k = 0; k < n; k++)
		fputs(" --- |", f);
	for (i = 0; i < set->count; i++) {
		fprintf(f, "\n| %s |", set->objects[i]);
		for (k = 0; k < n; k++)
			print_cell(f, &r[k], set->objects[i]);
	}
	fprintf(f, "\n\nDisagreements with %s:\n\n", set->veristat);
	for (k = 0; k < n; k++)
		differ += print_differences(f, &r[k], true);
	if (!differ)
		fputs("none.\n", f);
	printf("%s\n", path);
}

static json_t *side(const struct peer_side *s)
{
	return json_pack("{s:b, s:b, s:I, s:I, s:I, s:s}", "answered", s->there,
			 "accepted", s->accepted, "insns", (json_int_t)s->insns,
			 "states", (json_int_t)s->states, "peak_states",
			 (json_int_t)s->peak_states, "why",
			 s->why ? s->why : "");
}

static void write_programs(const struct peer_result *r, size_t n)
{
	bl_autofree char *path =
		bl_path("%s/agreement.programs.json", bench_dir());
	json_t *all = json_array();
	struct bl_err err = { .text = "out of memory" };
	bl_autofree char *text = NULL;
	size_t i, k;

	for (k = 0; k < n; k++)
		for (i = 0; i < r[k].count; i++) {
			const struct peer_program *p = &r[k].programs[i];

			json_array_append_new(
				all, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}",
					       "kernel", r[k].kernel->release,
					       "object", p->object, "program",
					       p->name, "match",
					       peer_match_name(peer_match(p)),
					       "belay", side(&p->ours),
					       "veristat", side(&p->theirs)));
		}
	text = bl_json_dump(all);
	bench_need(text && path
			   ? bl_file_write(path, text, strlen(text), 0644, &err)
			   : -1,
		   &err);
	printf("%s\n", path);
}

int main(int argc, char **argv)
{
	BL_CLEANUP(peer_set_free) struct peer_set set = { 0 };
	bl_autocatalog struct bl_catalog catalog = { 0 };
	bl_autofree const struct bl_kernel **kernels = NULL;
	bl_autofree struct peer_result *results = NULL;
	struct bl_err err = { .text = "out of memory" };
	unsigned unexplained = 0;
	const char *spec;
	size_t n, k;

	bench_open("agreement", argc, argv);
	spec = bench_kernel("all");
	bench_need(bl_catalog_load(&catalog, &err), &err);
	bench_need(bl_catalog_select(&catalog, &spec, 1, &kernels, &n, &err),
		   &err);
	bench_need(peer_set_load(&set, &err), &err);
	bench_need(bl_file_mkdirs(bench_dir(), 0755, &err), &err);
	results = calloc(n, sizeof(*results));
	if (!results)
		return EXIT_FAILURE;
	fprintf(stderr,
		"%zu objects on %zu kernels, belay and %s: minutes for each kernel\n",
		set.count, n, set.veristat);
	bench_need(peer_run(&set, kernels, n, 1, 2, results, &err), &err);
	for (k = 0; k < n; k++) {
		add_rows(&set, &results[k]);
		print_differences(stdout, &results[k], false);
		unexplained += count(&results[k]).unexplained;
	}
	write_programs(results, n);
	write_markdown(&set, results, n);
	for (k = 0; k < n; k++)
		peer_result_free(&results[k]);
	if (unexplained)
		fprintf(stderr, "%u disagreements are not explained\n",
			unexplained);
	return bench_close() || unexplained ? EXIT_FAILURE : EXIT_SUCCESS;
}
