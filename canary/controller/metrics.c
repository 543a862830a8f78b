/* SPDX-License-Identifier: Apache-2.0 */
/* What GET /metrics answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "canary/controller/meter.h"
#include "canary/ledger/fleet.h"
#include "loader/base/cleanup.h"

/* By the names that Prometheus's own libraries give them. */
static void print_process(struct bl_prom *p)
{
	bl_autofclose FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;
	struct rusage u = { 0 };

	getrusage(RUSAGE_SELF, &u);
	bl_prom_family(p, BL_PROM_COUNTER, "process_cpu_seconds_total",
		       "User and system CPU time spent.");
	bl_prom_sample(
		p,
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
		NULL);
	if (!f || fscanf(f, "%*u %lu", &pages) != 1)
		return;
	bl_prom_family(p, BL_PROM_GAUGE, "process_resident_memory_bytes",
		       "Resident memory size.");
	bl_prom_sample(p, (double)pages * (double)sysconf(_SC_PAGESIZE), NULL);
}

/* How many hosts stand how to the rollout. */
static void print_hosts(const struct bl_fleet *f, struct bl_prom *p)
{
	unsigned counts[BL_EXPOSURE_STATES] = { 0 };
	const char *id = f->rollout.id;
	size_t i;

	for (i = 0; i < f->exposure_count; i++)
		counts[f->exposures[i].state]++;
	bl_prom_family(p, BL_PROM_GAUGE, "belay_rollout_hosts",
		       "Hosts, by how they stand to the newest rollout.");
	for (i = 0; i < BL_ARRAY_SIZE(counts); i++)
		bl_prom_add(p, counts[i], "rollout", id, "state",
			    bl_exposure_state_name((enum bl_exposure_state)i));
	bl_prom_add(p, f->view.waiting, "rollout", id, "state", "waiting");
	bl_prom_add(p, f->view.already, "rollout", id, "state", "already");
	bl_prom_add(p, f->view.gone, "rollout", id, "state", "gone");
	bl_prom_add(p, f->view.left_out, "rollout", id, "state", "left-out");
}

static void print_number(struct bl_prom *p, const char *name, const char *help,
			 const char *id, double value)
{
	bl_prom_family(p, BL_PROM_GAUGE, name, help);
	bl_prom_add(p, value, "rollout", id);
}

static void print_rollout(const struct bl_fleet *f, struct bl_prom *p)
{
	const struct bl_rollout *r = &f->rollout;
	enum bl_rollout_state i;

	bl_prom_family(p, BL_PROM_GAUGE, "belay_rollout_info",
		       "What the newest rollout brings.");
	bl_prom_add(p, 1, "rollout", r->id, "name", r->name, "version",
		    r->version, "digest", r->digest);
	bl_prom_family(p, BL_PROM_GAUGE, "belay_rollout_state",
		       "1 for the state in which the newest rollout is.");
	for (i = 0; i <= BL_ROLLOUT_DONE; i++)
		bl_prom_add(p, r->state == i, "rollout", r->id, "state",
			    bl_rollout_state_name(i));
	print_hosts(f, p);
	print_number(p, "belay_rollout_unconfirmed_hosts",
		     "Exposed hosts that count under the cap.", r->id,
		     r->unconfirmed);
	print_number(p, "belay_rollout_unconfirmed_hosts_limit",
		     "The cap: no more may be exposed and unconfirmed.", r->id,
		     r->plan.cap);
	print_number(p, "belay_rollout_wave", "The wave, from 1.", r->id,
		     r->wave + 1);
	print_number(p, "belay_rollout_start_timestamp_seconds",
		     "When it was started.", r->id, (double)r->start_ms / 1000);
	print_number(p, "belay_rollout_end_timestamp_seconds",
		     "When it was over; 0: it is not.", r->id,
		     (double)r->end_ms / 1000);
}

/* The newest rollout to *ret, if there is one. */
static int load_newest(struct bl_store *store, int64_t now_ms,
		       struct bl_fleet *ret)
{
	bl_autostore_item struct bl_store_item last = { 0 };
	char id[BL_ROLLOUT_ID_LEN];
	int r = bl_fleet_get(store, &last, NULL, "fleet/", "last");

	if (r < 0 || !last.revision)
		return r;
	snprintf(id, sizeof(id), "r%ld",
		 strtol(bl_buf_str(&last.value), NULL, 10));
	return bl_fleet_load(store, id, now_ms, ret, NULL);
}

static void print_fleet(struct bl_store *store, int64_t now_ms,
			struct bl_prom *p)
{
	bl_autofleet struct bl_fleet f = { 0 };
	size_t hosts = 0;
	int r = store ? bl_store_count(store, "host/", &hosts, NULL)
		      : -EHOSTUNREACH;

	if (!r)
		r = load_newest(store, now_ms, &f);
	bl_prom_family(p, BL_PROM_GAUGE, "belay_store_up",
		       "1 if the store could be read for this.");
	bl_prom_sample(p, r == 0, NULL);
	if (r < 0)
		return;
	bl_prom_family(p, BL_PROM_GAUGE, "belay_hosts",
		       "Hosts that ever polled.");
	bl_prom_sample(p, (double)hosts, NULL);
	if (*f.rollout.id)
		print_rollout(&f, p);
}

int bl_metrics_text(struct bl_store *store, struct bl_meter *m, int64_t now_ms,
		    struct bl_buf *ret)
{
	struct bl_prom p = { 0 };

	bl_prom_family(&p, BL_PROM_GAUGE, "belay_build_info",
		       "The version of belay that runs here.");
	bl_prom_add(&p, 1, "version", BL_VERSION);
	if (m)
		bl_meter_print(m, &p);
	print_process(&p);
	print_fleet(store, now_ms, &p);
	return bl_prom_end(&p, ret);
}
