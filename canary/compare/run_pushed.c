/* SPDX-License-Identifier: Apache-2.0 */
/* Way A, as in 2024: every host is told of the new version at once, loads it as
 * soon as it hears of it, and loads it again at every boot. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/compare/run.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define START_MS  900000 /* for a fleet to come up */
#define REACH_MS  600000 /* for a push to reach all */
#define WATCH_MS  25000	 /* after that */
#define BOOTS_MS  120000 /* beyond, for a host that still boots */
#define SETTLE_MS 15000	 /* after a load: down again, late faults too; or up */
#define RELOAD_MS 3000	 /* between a version and the next */

/* The modules load as a host allows them most. */
static const char params[] = "deny=1\n";

static bool is_up(struct bl_run *run)
{
	return bl_watch_ready(&run->watch, "v1");
}

static bool has_reached_all(struct bl_run *run)
{
	const struct bl_watch *w = &run->watch;

	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->host[i].loading, "v1") == 0 && !w->seen[i].dead)
			return false;
	return true;
}

/* All are given up: nothing will change. */
static bool is_over(struct bl_run *run)
{
	const struct bl_watch *w = &run->watch;

	for (size_t i = 0; i < w->count; i++)
		if (!w->seen[i].dead)
			return false;
	return true;
}

/* Nobody boots, or has loaded too recently to tell. */
static bool is_settled(struct bl_run *run)
{
	const struct bl_watch *w = &run->watch;
	int64_t now = bl_watch_now(w);

	for (size_t i = 0; i < w->count; i++) {
		const struct bl_watch_host *h = &w->host[i];

		if (!w->seen[i].dead && h->boots &&
		    (h->boot_ms < 0 || h->load_ms < h->boot_ms ||
		     now - h->load_ms < SETTLE_MS))
			return false;
	}
	return true;
}

static bool never(struct bl_run *run)
{
	(void)run;
	return false;
}

/* The first host has written down what to run, and begins to load it. */
static bool has_begun(struct bl_run *run)
{
	return run->watch.seen[0].exposed;
}

static int observe(struct bl_run *run, struct bl_depot *depot,
		   struct bl_err *err)
{
	int r;

	snprintf(depot->word, sizeof(depot->word), "%s", BL_WATCH_FAULT);
	if (run->fault->inject == BL_INJECT_POWER_CUT) {
		r = bl_run_until(run, has_begun, REACH_MS, err);
		if (!r)
			bl_watch_cut(&run->watch, 0);
		if (r < 0)
			return r;
	}
	r = bl_run_until(run, has_reached_all, REACH_MS, err);
	if (r >= 0 && run->twin->unload) {
		r = bl_run_until(run, never, RELOAD_MS, err);
		snprintf(depot->word, sizeof(depot->word), "%s", "v3");
	}
	if (r >= 0)
		r = bl_run_until(run, is_over, WATCH_MS, err);
	if (r > 0)
		r = bl_run_until(run, is_settled, BOOTS_MS, err);
	return r < 0 ? r : 0;
}

static void conclude(struct bl_run *run)
{
	struct bl_watch *w = &run->watch;

	for (size_t i = 0; i < w->count; i++) {
		const char *at = w->host[i].loaded;

		snprintf(w->seen[i].version, sizeof(w->seen[i].version), "%s",
			 strcmp(at, BL_WATCH_FAULT) == 0 ? run->bad.version
			 : *at				 ? run->good.version
							 : "");
	}
}

/* A host's files of @v as version @name ("v2"). */
static void add_files(struct bl_guests_spec *spec, const struct bl_variant *v,
		      const char *params_path, const char *const names[3])
{
	const char *const from[] = { v->ko, v->bin, params_path };

	for (size_t i = 0; i < 3; i++)
		spec->files[spec->file_count++] =
			(struct bl_vm_file){ from[i], names[i] };
}

static int start(struct bl_run *run, const struct bl_depot *depot,
		 struct bl_guests **ret, struct bl_err *err)
{
	static const char *const names[][3] = {
		{ "/c/v1.ko", "/c/v1.bin", "/c/v1.params" },
		{ "/c/v2.ko", "/c/v2.bin", "/c/v2.params" },
		{ "/c/v3.ko", "/c/v3.bin", "/c/v3.params" },
	};
	bl_autofree char *dir = bl_path("%s/A", run->runner->work);
	bl_autofree char *words = bl_path("%s/params", run->runner->work);
	struct bl_guests_spec spec = { .kernel = run->runner->kernel,
				       .way = run->way,
				       .count = BL_RUN_HOSTS,
				       .dir = dir,
				       .port = depot->port };
	int r = dir && words ? bl_file_write(words, params, sizeof(params) - 1,
					     0644, err)
			     : bl_err_set(err, -ENOMEM, "out of memory");

	if (r)
		return r;
	add_files(&spec, &run->good, words, names[0]);
	add_files(&spec, &run->bad, words, names[1]);
	add_files(&spec, &run->good, words, names[2]);
	return bl_guests_start(&spec, ret, err);
}

int bl_run_pushed(struct bl_run *run, struct bl_err *err)
{
	BL_CLEANUP(bl_guests_freep) struct bl_guests *guests = NULL;
	BL_CLEANUP(bl_depot_close) struct bl_depot depot = { .fd = -1 };
	int r = bl_depot_open(&depot, err);

	snprintf(depot.word, sizeof(depot.word), "%s", "v1");
	run->depot = &depot;
	if (!r)
		r = start(run, &depot, &guests, err);
	if (!r) {
		bl_run_say(run, "boots");
		bl_watch_begin(&run->watch, guests, run->result, "");
		r = bl_run_until(run, is_up, START_MS, err);
	}
	if (r > 0)
		r = bl_err_set(err, -ETIME, "the fleet did not come up");
	if (r)
		return r;
	bl_run_say(run, "is pushed to all hosts");
	bl_watch_push(&run->watch);
	r = observe(run, &depot, err);
	if (!r)
		conclude(run);
	return r;
}
