/* SPDX-License-Identifier: Apache-2.0 */
/* belay host revoke: takes a certificate back before it is over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/decide/decision.h"
#include "canary/operator/cmd_host.h"
#include "canary/wire/client_args.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/base/text.h"

static const char usage[] =
	"usage: belay host revoke NAME [--operator] [--reason TEXT]\n"
	"       belay host revoke --list\n"
	"\n"
	"Takes back every certificate that host NAME has, and its tokens that nobody\n"
	"used yet: every controller refuses them from the next request on. The host goes\n"
	"on with what it runs, and is silent towards the fleet; if a rollout exposed it,\n"
	"that silence stops the rollout. It can enroll again, by a new token.\n"
	"\n"
	"  --operator          NAME is an operator; a new certificate must have another\n"
	"                      name then\n"
	"  --list              shows what was taken back\n"
	"  --reason TEXT       kept, and told to who shows such a certificate\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay host revoke web-1 --reason 'stolen laptop'\n";

struct options {
	struct bl_client_args client;
	const char *name, *reason;
	bool is_operator, list;
};

static const struct bl_arg rows[] = {
	BL_CLIENT_ARGS(struct options, client),
	{ "the name", BL_ARG_OPERAND, offsetof(struct options, name), 0, 0 },
	{ "reason", BL_ARG_TEXT, offsetof(struct options, reason), 1,
	  BL_REASON_MAX - 1 },
	{ "operator", BL_ARG_FLAG, offsetof(struct options, is_operator), 0,
	  0 },
	{ "list", BL_ARG_FLAG, offsetof(struct options, list), 0, 0 },
};

static const char *text_of(const json_t *obj, const char *key, char *buf,
			   size_t size)
{
	bl_text_copy(buf, size, json_string_value(json_object_get(obj, key)));
	return buf;
}

static long long number(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static void print_list(const json_t *answer)
{
	static const char *const heads[] = { "name", "is", "taken back", "by",
					     "reason" };
	const json_t *list = json_object_get(answer, "revoked"), *v;
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));
	char when[BL_TIME_ISO_LEN], text[BL_REASON_MAX];
	size_t i;

	if (!t)
		return;
	if (!json_array_size(list)) {
		printf("no certificate was taken back\n");
		return;
	}
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	json_array_foreach (list, i, v) {
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(v, "name", text, sizeof(text)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(v, "role", text, sizeof(text)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      bl_clock_iso(number(v, "at_ms"), when));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(v, "by", text, sizeof(text)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(v, "reason", text, sizeof(text)));
	}
	bl_table_print(t, stdout, "");
}

static void print(const struct options *o, const json_t *answer)
{
	const char *rollout =
		json_string_value(json_object_get(answer, "rollout"));
	long long tokens = number(answer, "tokens");

	printf("every certificate of %s %s is refused from now on\n",
	       o->is_operator ? "operator" : "host", o->name);
	if (tokens)
		printf("%lld token%s for it that nobody had used %s gone, too\n",
		       tokens, tokens == 1 ? "" : "s",
		       tokens == 1 ? "is" : "are");
	if (rollout && *rollout)
		printf("rollout %s exposed it: its silence will stop that\n",
		       rollout);
	if (!o->is_operator && !json_is_true(json_object_get(answer, "known")))
		printf("no host of that name was ever heard of: is it the right one?\n");
	if (o->is_operator)
		printf("  belay controller operator NAME --out DIR   makes a new one, of another name\n");
	else
		printf("  belay host token %s   lets it enroll again\n",
		       o->name);
}

static int take_back(struct bl_client *c, const struct options *o,
		     struct bl_json_doc *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/%s/%s/revoke",
					 o->is_operator ? "operators" : "hosts",
					 o->name);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_client_json(c, "POST", path,
			      json_pack("{s:s}", "reason", o->reason), ret,
			      err);
}

int bl_cmd_host_revoke(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "host revoke", usage, rows,
					     BL_ARRAY_SIZE(rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct options o = { .reason = "" };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (!o.list == !o.name)
		return bl_cli_usage(err, spec.verb,
				    o.list ? "--list takes no name"
					   : "the name is missing");
	if (o.name && !bl_name_valid(o.name))
		return bl_cli_usage(err, spec.verb, "'%s' is no name", o.name);
	bl_cli_catch_signals();
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = o.list ? bl_client_json(c, "GET", "/v1/revoked", NULL, &doc, err)
		   : take_back(c, &o, &doc, err);
	if (r < 0)
		return bl_client_exit(r);
	if (o.client.json)
		return bl_client_print_json(doc.root);
	if (o.list)
		print_list(doc.root);
	else
		print(&o, doc.root);
	return BL_EXIT_OK;
}
