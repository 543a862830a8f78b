/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs inside a microVM, as root: exercises objects and rehearses exchanges as
 * the gate does there, and judges them as the gate does outside.
 *
 *	gate_probe exercise OBJECT [CONTENT.json]
 *	gate_probe swap PREVIOUS NEW
 *
 * Prints the findings, one a line, "VERDICT CHECK: MESSAGE", and then the facts
 * they came from. 0 when all came to an end, whatever the verdict.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/gate/kernel/attach.h"
#include "loader/gate/kernel/exercise.h"
#include "loader/gate/kernel/swap.h"
#include "loader/kern/ask/exercise_run.h"
#include "loader/kern/ask/swap.h"

#define FILE_MAX (64u << 20)

static struct bl_err err;

struct loaded {
	struct bl_buf object, content;
	struct bl_session *session;
	struct bl_facts facts;
};

static void die(void)
{
	printf("FAIL: %s\n", err.text);
	exit(1);
}

static void load(struct loaded *l, const char *path, const char *json,
		 uint32_t generation)
{
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_probe_part part = { .name = path, .generation = generation };

	if (bl_file_read(path, FILE_MAX, &l->object, &err))
		die();
	if (json && (bl_file_read(json, FILE_MAX, &text, &err) ||
		     bl_content_compile(json, text.data, text.len, &l->content,
					NULL, &err)))
		die();
	part.object = l->object.data;
	part.len = l->object.len;
	part.content = l->content.data;
	part.content_len = l->content.len;
	if (bl_session_open(&part, &l->session, &err) ||
	    bl_session_load(l->session, &l->facts, &err))
		die();
}

static void unload(struct loaded *l)
{
	bl_session_close(l->session);
	bl_facts_free(&l->facts);
	bl_buf_free(&l->object);
	bl_buf_free(&l->content);
}

static void print(const struct bl_report *r)
{
	for (size_t i = 0; i < r->count; i++)
		printf("%s %s: %s%s%s\n",
		       bl_verdict_name(r->findings[i].verdict),
		       r->findings[i].check, r->findings[i].program,
		       *r->findings[i].program ? ": " : "",
		       r->findings[i].message);
}

static void print_facts(const struct bl_facts_exercise *x,
			const struct bl_facts *f)
{
	unsigned long long runs = 0, missed = 0;

	for (size_t i = 0; i < f->program_count; i++) {
		runs += f->programs[i].runs;
		missed += f->programs[i].missed;
	}
	printf("facts: seen %llu emitted %llu dropped %llu torn %llu denied %llu; events %llu %llu %llu; forks %llu; runs %llu missed %llu; maps %llu programs %llu\n",
	       (unsigned long long)x->seen, (unsigned long long)x->emitted,
	       (unsigned long long)x->dropped, (unsigned long long)x->torn,
	       (unsigned long long)x->denied, (unsigned long long)x->events[0],
	       (unsigned long long)x->events[1],
	       (unsigned long long)x->events[2], (unsigned long long)x->forks,
	       runs, missed, (unsigned long long)x->map_bytes,
	       (unsigned long long)x->prog_bytes);
}

static int exercise(int argc, char **argv)
{
	struct bl_exercise_limits limits = bl_exercise_defaults();
	bl_autoreport struct bl_report report = { 0 };
	uint64_t start = bl_clock_mono_ms(), loaded, attached, ran;
	BL_CLEANUP(unload) struct loaded l = { 0 };

	load(&l, argv[0], argc > 1 ? argv[1] : NULL, 1);
	loaded = bl_clock_mono_ms();
	if (bl_session_attach(l.session, &l.facts, &err))
		die();
	attached = bl_clock_mono_ms();
	if (bl_exercise_run(l.session, 0, &l.facts, &err))
		die();
	ran = bl_clock_mono_ms();
	if (bl_report_init(&report, argv[0], "object") ||
	    bl_attach_check(&l.facts, "guest", false, &report) ||
	    bl_exercise_check(&l.facts, &limits, "guest", &report) ||
	    bl_swap_ways(&l.facts, "guest", &report))
		die();
	print(&report);
	print_facts(&l.facts.exercise, &l.facts);
	printf("took: load %llu ms, attach %llu ms, exercise %llu ms\n",
	       (unsigned long long)(loaded - start),
	       (unsigned long long)(attached - loaded),
	       (unsigned long long)(ran - attached));
	return 0;
}

static int swap(int argc, char **argv)
{
	bl_autoreport struct bl_report report = { 0 };
	BL_CLEANUP(unload) struct loaded before = { 0 };
	BL_CLEANUP(unload) struct loaded now = { 0 };
	uint64_t start;

	(void)argc;
	load(&before, argv[0], NULL, 1);
	load(&now, argv[1], NULL, 2);
	/* As the exercise leaves it. */
	now.facts.exercise.sensor = now.session->sensor;
	if (bl_session_attach(now.session, &now.facts, &err))
		die();
	start = bl_clock_mono_ms();
	if (bl_swap_rehearse(&(struct bl_swap_part){ before.session,
						     &before.facts },
			     &(struct bl_swap_part){ now.session, &now.facts },
			     0, &now.facts.swap, &err))
		die();
	if (bl_report_init(&report, argv[1], "object") ||
	    bl_swap_check(&now.facts, "guest", &report))
		die();
	print(&report);
	printf("took: swap %llu ms\n",
	       (unsigned long long)(bl_clock_mono_ms() - start));
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 3 && strcmp(argv[1], "exercise") == 0)
		return exercise(argc - 2, argv + 2);
	if (argc == 4 && strcmp(argv[1], "swap") == 0)
		return swap(argc - 2, argv + 2);
	fputs("usage: gate_probe exercise OBJECT [CONTENT] | swap PREVIOUS NEW\n",
	      stderr);
	return 64;
}
