/* SPDX-License-Identifier: Apache-2.0 */
/* belay events: what the live sensor reports, one line each. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/json.h"
#include "loader/bundle/content.h"
#include "loader/host/cmd_common.h"
#include "loader/verbs.h"

#define POLL_MS 200
#define IDLE_MS 500 /* between looks for something live */

static const char usage[] =
	"usage: belay events [--count N] [--seconds S] [--json]\n"
	"\n"
	"Prints what the live sensor reports, across updates, until Ctrl-C. Each\n"
	"event goes to one reader only. Columns: time, event, action, process, user,\n"
	"program, rule of the content that matched (- for the default), object.\n"
	"JSON is a document for each event, one per line.\n"
	"Exit status: 0, or 2 if none could be read.\n"
	"\n"
	"      --count N          stop after N events\n"
	"      --seconds S        stop after S seconds\n" //
	BL_HOST_USAGE_COMMON "\n"
	"example: belay events --seconds 10\n";

/* The content of the generation that reports now. */
struct rules {
	struct bl_bundle bundle;
	uint32_t generation; /* 0: none yet */
};

struct printer {
	const struct bl_host_args *args;
	struct bl_host *host;
	struct rules rules;
	uint64_t count;
	bool failed; /* standard output is gone */
};

/* The sensor's clock is CLOCK_MONOTONIC, which no person reads. */
static int64_t wall_of(uint64_t ts_ns)
{
	struct timespec now;
	int64_t age_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	age_ns =
		(int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)ts_ns;
	return bl_clock_wall_ms() - age_ns / 1000000;
}

/* A path, a name in DNS, or "address port 443". */
static void object_text(const struct bl_event *e, char *ret, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "?";

	if (e->kind != BL_EVENT_CONNECT) {
		bl_host_safe(e->path.path, ret, size);
		return;
	}
	inet_ntop(e->addr.family, e->addr.addr, address, sizeof(address));
	snprintf(ret, size, "%s port %u", address, e->addr.port);
}

/* The name of the rule that matched; "" if none did, or it is not known: a
 * report without it is still one. */
static const char *rule_name(struct printer *p, const struct bl_event *e)
{
	struct rules *k = &p->rules;

	if (e->rule == BL_RULE_NONE)
		return "";
	if (k->generation != e->generation) {
		bl_bundle_free(&k->bundle);
		k->bundle = (struct bl_bundle){ 0 };
		k->generation = e->generation;
		bl_host_bundle(p->host, e->generation, &k->bundle, NULL);
	}
	if (!k->bundle.content_bin.len)
		return "";
	return bl_content_rule_name(k->bundle.content_bin.data, e->rule);
}

static json_t *event_json(const struct bl_event *e, const char *when,
			  const char *comm, const char *rule,
			  const char *object)
{
	char address[INET6_ADDRSTRLEN] = "?";
	json_t *v =
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I}",
			  "time", when, "event", bl_event_kind_name(e->kind),
			  "action", bl_action_name(e->action), "generation",
			  (json_int_t)e->generation, "pid", (json_int_t)e->tgid,
			  "tid", (json_int_t)e->pid, "uid", (json_int_t)e->uid,
			  "comm", comm, "cgroup", (json_int_t)e->cgroup_id,
			  "sensor_version", (json_int_t)e->version);

	if (e->rule != BL_RULE_NONE)
		json_object_set_new(v, "rule_number", json_integer(e->rule));
	if (*rule)
		json_object_set_new(v, "rule", json_string(rule));
	if (e->kind != BL_EVENT_CONNECT) {
		json_object_set_new(v,
				    e->kind == BL_EVENT_DNS ? "name" : "path",
				    json_string(object));
		return v;
	}
	inet_ntop(e->addr.family, e->addr.addr, address, sizeof(address));
	json_object_set_new(v, "address", json_string(address));
	json_object_set_new(v, "port", json_integer(e->addr.port));
	return v;
}

static int print_event(void *ctx, const struct bl_event *e, size_t len)
{
	struct printer *p = ctx;
	char when[BL_TIME_ISO_LEN], comm[4 * BL_EVENT_COMM_MAX + 8];
	char object[4 * BL_EVENT_PATH_MAX + 8];
	char rule[4 * BL_CONTENT_NAME_MAX + 8];

	(void)len;
	bl_clock_iso(wall_of(e->ts_ns), when);
	bl_host_safe(e->comm, comm, sizeof(comm));
	object_text(e, object, sizeof(object));
	bl_host_safe(rule_name(p, e), rule, sizeof(rule));
	if (p->args->json) {
		bl_autojson json_t *v = event_json(e, when, comm, rule, object);

		if (!v || json_dumpf(v, stdout, JSON_COMPACT))
			p->failed = true;
		putchar('\n');
	} else {
		printf("%s  %-7s %-5s pid %-6" PRIu32 " uid %-5" PRIu32
		       " %-15s %-12s %s\n",
		       when, bl_event_kind_name(e->kind),
		       bl_action_name(e->action), e->tgid, e->uid, comm,
		       *rule ? rule : "-", object);
	}
	if (fflush(stdout))
		p->failed = true;
	p->count++;
	return p->failed || (p->args->count && p->count >= p->args->count);
}

static int read_events(struct bl_host *h, struct printer *p, struct bl_err *err)
{
	const struct bl_host_args *a = p->args;
	uint64_t start = bl_clock_mono_ms(), elapsed = 0;
	int r = 0;

	while (!bl_cli_interrupted() && !p->failed &&
	       !(a->count && p->count >= a->count) &&
	       !(a->seconds_ms && elapsed >= a->seconds_ms)) {
		struct bl_err why = { 0 };

		r = bl_host_events(h, POLL_MS, print_event, p, &why);
		if (r == -ENOENT && a->seconds_ms)
			bl_clock_sleep_ms(IDLE_MS); /* may yet come */
		else if (r < 0 && r != -EINTR)
			return bl_err_set(err, r, "%s", why.text);
		elapsed = bl_clock_mono_ms() - start;
	}
	if (p->failed)
		return bl_err_set(err, -EPIPE, "write to standard output");
	if (r == -ENOENT)
		return bl_err_set(err, r,
				  "nothing with events was live on this host");
	return 0;
}

int bl_cmd_events(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	struct bl_recover_result rec = { 0 };
	struct bl_host_args a = { 0 };
	struct printer p = { .args = &a };
	int r;

	r = bl_host_args("events", BL_TAKES_COUNT | BL_TAKES_SECONDS, argc,
			 argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	bl_cli_catch_signals();
	r = bl_host_args_open(&a, &h, err);
	if (!r)
		r = bl_host_recover(h, &rec, err);
	p.host = h;
	if (!r)
		r = read_events(h, &p, err);
	bl_bundle_free(&p.rules.bundle);
	return r ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}
