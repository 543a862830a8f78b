/* SPDX-License-Identifier: Apache-2.0 */
/* belay content import misp: content of what others know to be bad. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "canary/operator/feed.h"
#include "loader/base/args.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/term.h"
#include "loader/bundle/digest.h"
#include "loader/import/misp.h"
#include "loader/verbs.h"

#define STEPS 20 /* of the progress */

static const char usage[] =
	"belay content: rules for sensors\n"
	"\n"
	"usage: belay content import misp DIR|URL [options]\n"
	"example: belay content import misp feed/ --sha256 HEX --output content.json\n"
	"\n";

static const char usage_import[] =
	"belay content import: rules of what others know to be bad\n"
	"\n"
	"usage: belay content import misp DIR|URL [options]\n"
	"example: belay content import misp feed/ --sha256 HEX --output content.json\n"
	"\n";

static const char usage_misp[] =
	"usage: belay content import misp DIR|URL --sha256 HEX --output FILE [options]\n"
	"\n"
	"Makes content of a MISP feed: a folder, or an https URL of one, with\n"
	"manifest.json and a UUID.json for each event. Addresses become rules for\n"
	"connect, domains rules for dns, paths and names of files rules for exec and\n"
	"open, SHA-256 rules for exec (hosts from Linux 5.18 on). What a sensor cannot\n"
	"see (other hashes, URLs) is left out, counted and named with why, as is what\n"
	"the feed has deleted or does not mean for detection (to_ids).\n"
	"The same feed gives the same bytes.\n"
	"\n"
	"HEX says which manifest is meant. It vouches for which events there are and\n"
	"of when, not for their bytes: look at what came out, and sign it.\n"
	"\n"
	"  --sha256 HEX     SHA-256 of manifest.json, got by another way\n"
	"  --output FILE    write the content here\n"
	"  --into BASE      content to add to; what it says already stays\n"
	"  --action ACTION  of whole paths: emit (unless said) or deny; the others\n"
	"                   are always emit: connect and dns cannot be denied, and\n"
	"                   a name stands for no file in particular\n"
	"  --since SECONDS  leave out events of before (seconds since 1970, by the\n"
	"                   manifest)\n"
	"  --ca FILE        authority of the URL's certificate, instead of the system's\n"
	"  --json           print the report as JSON\n"
	"\n"
	"exit status: 0 written, 1 the feed is refused, 2 it could not be read\n"
	"example: belay content import misp https://feed.example.org/osint \\\n"
	"             --sha256 \"$HEX\" --into content.json --output today.json\n";

struct options {
	const char *where, *sha256, *output, *into, *action, *ca;
	long since;
	bool json;
};

static const struct bl_arg rows[] = {
	{ "the feed's folder or URL", BL_ARG_NEEDED,
	  offsetof(struct options, where), 0, 0 },
	{ "sha256", BL_ARG_TEXT, offsetof(struct options, sha256), 0, 0 },
	{ "output", BL_ARG_TEXT, offsetof(struct options, output), 0, 0 },
	{ "into", BL_ARG_TEXT, offsetof(struct options, into), 0, 0 },
	{ "action", BL_ARG_TEXT, offsetof(struct options, action), 0, 0 },
	{ "since", BL_ARG_NUMBER, offsetof(struct options, since), 0,
	  INT64_C(1) << 40 },
	{ "ca", BL_ARG_TEXT, offsetof(struct options, ca), 0, 0 },
	{ "json", BL_ARG_FLAG, offsetof(struct options, json), 0, 0 },
};

struct import {
	const struct options *o;
	struct bl_feed feed;
	struct bl_misp_manifest manifest;
	struct bl_iocs set;
	struct bl_buf text;
	struct bl_content_info info;
	uint64_t bytes;	      /* of all events read */
	size_t events, older; /* read, left out by --since */
	char digest[BL_DIGEST_HEX];
};

static void import_free(struct import *in)
{
	bl_feed_close(&in->feed);
	bl_misp_manifest_free(&in->manifest);
	bl_iocs_free(&in->set);
	bl_buf_free(&in->text);
}

static int read_manifest(struct import *in, struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	int r = bl_feed_read(&in->feed, "manifest.json", BL_MISP_MANIFEST_MAX,
			     &text, err);

	return r ? r
		 : bl_misp_manifest_read("manifest.json", bl_buf_str(&text),
					 text.len, in->o->sha256, &in->manifest,
					 err);
}

static int read_event(struct import *in, const struct bl_misp_event *event,
		      struct bl_buf *text, struct bl_err *err)
{
	char name[BL_MISP_UUID + sizeof(".json")];
	int r;

	if (bl_cli_interrupted())
		return bl_err_set(err, -EINTR, "interrupted");
	snprintf(name, sizeof(name), "%s.json", event->uuid);
	r = bl_feed_read(&in->feed, name, BL_MISP_EVENT_MAX, text, err);
	if (r)
		return r;
	in->events++;
	in->bytes += text->len;
	if (in->bytes > BL_MISP_BYTES_MAX)
		return bl_err_set(
			err, -E2BIG,
			"the feed has more than %llu bytes, the limit",
			BL_MISP_BYTES_MAX);
	return bl_misp_event_read(name, bl_buf_str(text), text->len, event,
				  &in->set, err);
}

/* All of it or nothing: an event that is missing is one that somebody took. */
static int read_events(struct import *in, struct bl_err *err)
{
	const struct bl_misp_manifest *m = &in->manifest;
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_progress p = { 0 };
	size_t i;
	int r = 0;

	bl_progress_start(&p, "events", (unsigned)m->count);
	for (i = 0; !r && i < m->count; i++) {
		if (m->events[i].timestamp < in->o->since) {
			in->older = m->count - i; /* the newest come first */
			break;
		}
		r = read_event(in, &m->events[i], &text, err);
		if (i * STEPS / m->count != (i + 1) * STEPS / m->count)
			bl_progress_step(&p, (unsigned)i + 1, "%u indicators",
					 in->set.count);
	}
	bl_progress_end(&p);
	return r;
}

static int write_content(struct import *in, struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_iocs_base base = { .name = in->o->into };
	int r = 0;

	if (base.name)
		r = bl_file_read(base.name, BL_CONTENT_JSON_MAX, &text, err);
	if (r)
		return r;
	base.text = bl_buf_str(&text);
	base.len = text.len;
	r = bl_iocs_write(&in->set, base.name ? &base : NULL, &in->text,
			  &in->info, err);
	if (!r && bl_digest(in->text.data, in->text.len, in->digest))
		r = bl_err_set(err, -EIO, "cannot compute a digest");
	return r ? r
		 : bl_file_write(in->o->output, in->text.data, in->text.len,
				 0644, err);
}

static int import(struct import *in, struct bl_err *err)
{
	int r = bl_feed_open(in->o->where, in->o->ca, &in->feed, err);

	if (!r)
		r = read_manifest(in, err);
	if (!r)
		r = read_events(in, err);
	return r ? r : write_content(in, err);
}

/* --- the report ----------------------------------------------------------- */

static json_t *type_json(const struct bl_ioc_type *t)
{
	json_t *out = json_object();
	unsigned i;

	for (i = BL_IOC_RULE + 1; i < BL_IOC_FATES; i++)
		if (t->fates[i])
			json_object_set_new(out, bl_ioc_fate_name(i),
					    json_integer(t->fates[i]));
	return json_pack("{s:s, s:I, s:o}", "type", t->name, "imported",
			 (json_int_t)t->fates[BL_IOC_RULE], "left_out", out);
}

static json_t *report_json(const struct import *in)
{
	json_t *types = json_array();
	unsigned i;

	for (i = 0; i < in->set.type_count; i++)
		json_array_append_new(types, type_json(&in->set.types[i]));
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
			 "file", in->o->output, "sha256", in->digest, "events",
			 (json_int_t)in->events, "events_older",
			 (json_int_t)in->older, "indicators",
			 (json_int_t)in->set.count, "rules_added",
			 (json_int_t)in->set.rules, "rules",
			 (json_int_t)in->info.rules, "widened",
			 (json_int_t)in->set.widened, "not_denied",
			 (json_int_t)in->set.lowered, "types", types);
}

static void print_left_out(const struct import *in)
{
	bl_autotable struct bl_table *t = bl_table_new(3);
	bool any = false;
	unsigned i, k;

	if (!t)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_BOLD, "left out");
	bl_table_cell(t, BL_STYLE_BOLD, "type");
	bl_table_cell(t, BL_STYLE_BOLD, "why");
	for (i = 0; i < in->set.type_count; i++)
		for (k = BL_IOC_RULE + 1; k < BL_IOC_FATES; k++) {
			const struct bl_ioc_type *type = &in->set.types[i];

			if (!type->fates[k])
				continue;
			any = true;
			bl_table_row(t);
			bl_table_cell(t, BL_STYLE_PLAIN, "%u", type->fates[k]);
			bl_table_cell(t, BL_STYLE_PLAIN, "%s", type->name);
			bl_table_cell(t, BL_STYLE_PLAIN, "%s",
				      bl_ioc_fate_why(k));
		}
	if (any)
		bl_table_print(t, stdout, "");
}

static int report(const struct import *in, struct bl_err *err)
{
	bl_autofree char *text = NULL;

	if (in->o->json) {
		text = bl_json_dump(report_json(in));
		if (!text) {
			bl_err_set(err, -ENOMEM, "out of memory");
			return BL_EXIT_UNDECIDED;
		}
		fputs(text, stdout);
		return BL_EXIT_OK;
	}
	print_left_out(in);
	if (in->older)
		printf("left out as older than --since: %zu of %zu events\n",
		       in->older, in->manifest.count);
	if (in->set.widened)
		printf("%u indicators match more than was said: no port, hash or name beside them is compared\n",
		       in->set.widened);
	if (in->set.lowered)
		printf("%u addresses, domains and bare names are emit: these are never denied\n",
		       in->set.lowered);
	printf("%s  %s: %u rules of %u indicators in %zu event%s", in->digest,
	       in->o->output, in->set.rules, in->set.count, in->events,
	       in->events == 1 ? "" : "s");
	if (in->o->into)
		printf(", %u with those of %s", in->info.rules, in->o->into);
	printf("\n");
	return BL_EXIT_OK;
}

/* --- the verb ------------------------------------------------------------- */

static int check_options(const struct bl_args *spec, struct options *o,
			 enum bl_action *ret_action, struct bl_err *err)
{
	const char *action = o->action ? o->action : "emit";

	if (!o->sha256)
		return bl_cli_usage(err, spec->verb,
				    "which manifest? give --sha256 HEX");
	if (!bl_digest_valid(o->sha256))
		return bl_cli_usage(err, spec->verb,
				    "'%s' is no SHA-256: 64 of 0-9 and a-f",
				    o->sha256);
	if (!o->output)
		return bl_cli_usage(err, spec->verb,
				    "where to? give --output FILE");
	if (o->into && bl_file_same(o->into, o->output))
		return bl_cli_usage(
			err, spec->verb,
			"--output would replace %s: its rules and the feed's could not be told apart the next time",
			o->into);
	if (strcmp(action, "emit") != 0 && strcmp(action, "deny") != 0)
		return bl_cli_usage(err, spec->verb,
				    "--action is emit or deny, not '%s'",
				    action);
	*ret_action = *action == 'd' ? BL_ACTION_DENY : BL_ACTION_EMIT;
	return 0;
}

/* What is wrong with the feed is for its publisher to mend. */
static int exit_code(int r)
{
	switch (r) {
	case -EBADMSG:
	case -E2BIG:
	case -EFBIG:
	case -EINVAL:
	case -ELOOP:
		return BL_EXIT_REJECTED;
	default:
		return BL_EXIT_UNDECIDED;
	}
}

static int cmd_misp(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "content import misp", usage_misp,
					     rows, BL_ARRAY_SIZE(rows) };
	BL_CLEANUP(import_free) struct import in = { .feed.dir = -1 };
	struct options o = { 0 };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	r = check_options(&spec, &o, &in.set.action, err);
	if (r)
		return r;
	bl_cli_catch_signals();
	in.o = &o;
	r = import(&in, err);
	if (r < 0)
		return exit_code(bl_err_wrap(err, r, "nothing imported"));
	return report(&in, err);
}

static int cmd_import(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_verb verbs[] = {
		{ "misp", "a MISP feed: a folder, or an https URL", cmd_misp },
	};

	return bl_cli_dispatch(usage_import, verbs, BL_ARRAY_SIZE(verbs), argc,
			       argv, err);
}

int bl_cmd_content(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_verb verbs[] = {
		{ "import", "rules of what others know to be bad", cmd_import },
	};

	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
