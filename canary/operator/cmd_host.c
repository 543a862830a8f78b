/* SPDX-License-Identifier: Apache-2.0 */
/* belay host list: the fleet's hosts as the controller knows them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "canary/operator/cmd_host.h"
#include "canary/wire/client_args.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"
#include "loader/base/term.h"
#include "loader/base/text.h"
#include "loader/verbs.h"

static const char list_usage[] =
	"usage: belay host list [--wait N [--timeout TIME]] [--json]\n"
	"\n"
	"Lists the hosts whose agents have polled: kernel, what runs, when it was last\n"
	"heard of, events and drops of its sensor.\n"
	"\n"
	"  --wait N            wait until N hosts have polled in the last 10 s\n"
	"  --timeout TIME      give up after it (default 60s); exit status 2\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay host list --wait 6\n";

#define PRESENT_MS     10000
#define LATE_S	       30
#define SCREEN	       20 /* rows, of which nobody counts more */
#define TIMEOUT_MAX_MS (7 * 24 * 3600 * INT64_C(1000))

struct options {
	struct bl_client_args client;
	long wait;
	uint64_t timeout_ms;
};

static const struct bl_arg list_rows[] = {
	BL_CLIENT_ARGS(struct options, client),
	{ "wait", BL_ARG_NUMBER, offsetof(struct options, wait), 0, 1000000 },
	{ "timeout", BL_ARG_TIME, offsetof(struct options, timeout_ms), 1,
	  TIMEOUT_MAX_MS },
};

static const char *text_of(const json_t *obj, const char *key, char *buf,
			   size_t size)
{
	bl_text_copy(buf, size, json_string_value(json_object_get(obj, key)));
	return buf;
}

static long long number_of(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static void print(const json_t *answer)
{
	bl_autotable struct bl_table *t = bl_table_new(7);
	const json_t *h, *hosts = json_object_get(answer, "hosts");
	char name[160], kernel[160], live[80], doing[160];
	char ago[BL_DURATION_LEN];
	size_t late = 0;
	size_t i;

	if (!t)
		return;
	if (!json_array_size(hosts)) {
		printf("no host has polled yet ('belay agent' runs on each)\n");
		return;
	}
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "host");
	bl_table_cell(t, BL_STYLE_PLAIN, "kernel");
	bl_table_cell(t, BL_STYLE_PLAIN, "runs");
	bl_table_cell(t, BL_STYLE_PLAIN, "heard");
	bl_table_cell(t, BL_STYLE_PLAIN, "events");
	bl_table_cell(t, BL_STYLE_PLAIN, "drops");
	bl_table_cell(t, BL_STYLE_PLAIN, "doing");
	json_array_foreach (hosts, i, h) {
		long long quiet = (number_of(answer, "now_ms") -
				   number_of(h, "heard_ms")) /
				  1000;
		const char *digest = text_of(h, "live", live, sizeof(live));

		late += quiet > LATE_S;
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(h, "name", name, sizeof(name)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(h, "kernel", kernel, sizeof(kernel)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%.12s",
			      *digest ? digest : "nothing");
		bl_table_cell(t,
			      quiet > LATE_S ? BL_STYLE_WARN : BL_STYLE_PLAIN,
			      "%s", bl_duration_ago(quiet * 1000, ago));
		bl_table_cell(t, BL_STYLE_PLAIN, "%lld",
			      number_of(h, "events"));
		bl_table_cell(t,
			      number_of(h, "drops") ? BL_STYLE_WARN
						    : BL_STYLE_PLAIN,
			      "%lld", number_of(h, "drops"));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(h, "doing", doing, sizeof(doing)));
	}
	bl_table_print(t, stdout, "");
	if (late || json_array_size(hosts) > SCREEN)
		printf("%zu hosts, %zu of them not heard of for %d s\n",
		       json_array_size(hosts), late, LATE_S);
}

static unsigned present(const json_t *answer)
{
	const json_t *h;
	unsigned n = 0;
	size_t i;

	json_array_foreach (json_object_get(answer, "hosts"), i, h)
		n += number_of(answer, "now_ms") - number_of(h, "heard_ms") <
		     PRESENT_MS;
	return n;
}

/* Fetches the list until enough hosts are on it. */
static int fetch(struct bl_client *c, const struct options *o,
		 struct bl_json_doc *ret, struct bl_err *err)
{
	struct bl_progress p = { 0 };
	uint64_t end_ms = bl_clock_mono_ms() + o->timeout_ms;
	unsigned n = 0, shown = UINT_MAX;
	char within[BL_DURATION_LEN];
	int r;

	if (o->wait)
		bl_progress_start(&p, "waiting for hosts", (unsigned)o->wait);
	for (;;) {
		bl_json_doc_free(ret);
		r = bl_client_json(c, "GET", "/v1/hosts", NULL, ret, err);
		if (r < 0 || !o->wait)
			break;
		n = present(ret->root);
		if (n >= (unsigned)o->wait)
			break;
		if (n != shown)
			bl_progress_step(&p, n, "%u polled", n);
		else
			bl_progress_tick(&p);
		shown = n;
		if (bl_cli_interrupted())
			r = bl_err_set(err, -EINTR, "interrupted");
		else if (bl_clock_mono_ms() > end_ms)
			r = bl_err_set(err, -ETIMEDOUT,
				       "only %u of %ld hosts polled within %s",
				       n, o->wait,
				       bl_duration_text(o->timeout_ms, within));
		if (r < 0)
			break;
		bl_clock_sleep_ms(250);
	}
	if (o->wait)
		bl_progress_end(&p);
	return r;
}

static int cmd_list(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "host list", list_usage, list_rows,
					     BL_ARRAY_SIZE(list_rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct options o = { .timeout_ms = 60000 };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	bl_cli_catch_signals();
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = fetch(c, &o, &doc, err);
	if (r < 0)
		return bl_client_exit(r);
	if (o.client.json)
		return bl_client_print_json(doc.root);
	print(doc.root);
	return BL_EXIT_OK;
}

int bl_cmd_host(int argc, char **argv, struct bl_err *err)
{
	static const char usage[] = "usage: belay host VERB [options]\n"
				    "example: belay host list --wait 6\n"
				    "\n";
	static const struct bl_verb verbs[] = {
		{ "list", "the fleet's hosts", cmd_list },
		{ "token", "lets one host enroll, once", bl_cmd_host_token },
		{ "enroll", "gets this host's certificate by a token",
		  bl_cmd_host_enroll },
		{ "revoke", "takes a certificate back", bl_cmd_host_revoke },
	};

	bl_cli_guard_secrets();
	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
