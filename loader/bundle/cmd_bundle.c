/* SPDX-License-Identifier: Apache-2.0 */
/* belay bundle: make bundles and look into them. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/term.h"
#include "loader/bundle/archive.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "loader/oci/cmd_pull.h"
#include "loader/oci/cmd_source.h"
#include "loader/verbs.h"

static const char usage[] =
	"belay bundle: make bundles and look into them\n"
	"\n"
	"usage: belay bundle VERB [options]   (belay bundle VERB --help for each)\n"
	"example: belay bundle build manifest.json -o sensor-1.0.bundle\n"
	"\n";

static const char usage_build[] =
	"usage: belay bundle build MANIFEST.json -o FILE [--format FORM] [--json]\n"
	"\n"
	"Packs the manifest and the files it names, which lie beside it, into FILE\n"
	"and prints the digest. The same input gives the same digest anywhere.\n"
	"\n"
	"  -o, --output FILE  write the bundle here\n"
	"      --format FORM  bundle, or oci: an oci-archive, which skopeo copies to a\n"
	"                     registry (default: oci if FILE ends in .oci)\n"
	"      --json         print the result as JSON\n"
	"\n"
	"a manifest: {\"name\": \"my-sensor\", \"version\": \"1.0\",\n"
	"             \"object\": \"sensor.bpf.o\", \"content\": \"content.json\"}\n"
	"or, for a sensor that is a kernel module, \"modules\": [\"6.1.ko\", ...]\n"
	"in the place of \"object\": one file for each kernel that it was built for\n"
	"example: belay bundle build manifest.json -o sensor-1.0.bundle\n"
	"         belay bundle build manifest.json -o sensor-1.0.oci\n";

static const char usage_inspect[] =
	"usage: belay bundle inspect FILE|oci://… [options] [--json]\n"
	"\n"
	"Checks that FILE, or what a registry has by that digest (belay bundle pull),\n"
	"is an intact bundle and prints what is in it.\n"
	"\n" //
	BL_SOURCE_USAGE "      --json             print it as JSON\n"
	"\n"
	"example: belay bundle inspect sensor-1.0.bundle\n";

struct args {
	const char *file, *output, *format;
	struct bl_source_options source;
	bool json, help;
};

enum { OPT_JSON = 256, OPT_FORMAT };

/* 0, or the exit code with the error set. */
static int read_args(const char *verb, const char *letters,
		     const struct option *options, int argc, char **argv,
		     struct args *ret, struct bl_err *err)
{
	int c;

	optind = 0; /* glibc: start anew, main's argv was scanned before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (bl_source_option(c, optarg, &ret->source))
			continue;
		switch (c) {
		case 'h':
			ret->help = true;
			return 0;
		case OPT_FORMAT:
			ret->format = optarg;
			break;
		case 'o':
			ret->output = optarg;
			break;
		case OPT_JSON:
			ret->json = true;
			break;
		case ':':
			return bl_cli_usage(err, verb,
					    "option '%s' needs a value",
					    argv[optind - 1]);
		default:
			return bl_cli_usage(err, verb, "unknown option '%s'",
					    argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return bl_cli_usage(err, verb,
				    optind == argc
					    ? "which file? none was given"
					    : "one file was expected, not %d",
				    argc - optind);
	ret->file = argv[optind];
	return 0;
}

/* A mistake in the input is a rejection; what could not be read is neither. */
static int exit_code(int r)
{
	return r == -EBADMSG || r == -EFBIG ? BL_EXIT_REJECTED
					    : BL_EXIT_UNDECIDED;
}

static int print_json(json_t *v, struct bl_err *err)
{
	bl_autofree char *text = v ? bl_json_dump(v) : NULL;

	if (!text) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	fputs(text, stdout);
	return BL_EXIT_OK;
}

/* Whether @output is the file of that name beside the manifest. */
static bool beside_is(const struct args *a, int dir_len, const char *name)
{
	bl_autofree char *path = bl_path("%.*s%s", dir_len, a->file, name);

	return *name && path && bl_file_same(a->output, path);
}

/* Whether @output is the manifest or one of the files that it names. */
static bool is_input(const struct args *a, const struct bl_manifest *m)
{
	const char *slash = strrchr(a->file, '/');
	int dir_len = slash ? (int)(slash + 1 - a->file) : 0;
	bool same = bl_file_same(a->output, a->file) ||
		    beside_is(a, dir_len, m->object) ||
		    beside_is(a, dir_len, m->content);

	for (size_t i = 0; !same && i < m->modules.count; i++)
		same = beside_is(a, dir_len, m->modules.file[i]);
	return same;
}

static int cmd_build(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "format", required_argument, NULL, OPT_FORMAT },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	enum bl_output_form form = BL_OUTPUT_BY_NAME;
	char manifest[BL_DIGEST_HEX];
	struct args a = { 0 };
	int r = read_args("bundle build", ":ho:", options, argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(usage_build, stdout);
		return BL_EXIT_OK;
	}
	if (!a.output)
		return bl_cli_usage(err, "bundle build",
				    "where to? give -o FILE");
	if (a.format && !bl_output_form_by_name(a.format, &form))
		return bl_cli_usage(err, "bundle build",
				    "--format is bundle or oci, not '%s'",
				    a.format);
	r = bl_bundle_build(a.file, &b, err);
	if (r < 0)
		return exit_code(bl_err_wrap(err, r, "no bundle built"));
	if (is_input(&a, &b.manifest))
		return bl_cli_usage(err, "bundle build",
				    "-o %s would replace what goes into the "
				    "bundle",
				    a.output);
	r = bl_output_write(&b, a.output, form, manifest, err);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	return bl_output_report(&b, a.output, manifest, a.json, err);
}

struct part {
	const char *name;
	char what[32 + BL_MODFILE_RELEASE_LEN];
	const struct bl_buf *data;
};

#define PARTS_MAX (BL_MODULES_MAX + 2)

static size_t parts_of(const struct bl_bundle *b, struct part ret[PARTS_MAX])
{
	struct bl_modfile m = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < b->manifest.modules.count; i++) {
		struct part *p = &ret[n++];

		p->name = b->manifest.modules.file[i];
		p->data = &b->modules[i];
		bl_modfile_read(p->name, p->data->data, p->data->len, &m, NULL);
		snprintf(p->what, sizeof(p->what), "module for %s%s", m.release,
			 m.has_signature ? ", signed" : "");
	}
	if (!n)
		ret[n++] = (struct part){ b->manifest.object, "object",
					  &b->object };
	if (!b->manifest.content[0])
		return n;
	ret[n++] = (struct part){ b->manifest.content, "content",
				  &b->content_json };
	ret[n++] = (struct part){ BL_MEMBER_CONTENT_BIN, "compiled content",
				  &b->content_bin };
	return n;
}

/* The kinds that the exercise must show, NULL if that is the content's. */
static json_t *expected(const struct bl_exercise_limits *e)
{
	json_t *list = e->expect_given ? json_array() : json_null();

	for (unsigned kind = 0; kind < BL_EVENT_KINDS; kind++)
		if (e->expect & BL_EXPECT(kind))
			json_array_append_new(
				list, json_string(bl_event_kind_name(kind)));
	return list;
}

static json_t *state_json(const struct bl_carry_rules *rules)
{
	json_t *v = json_object();

	for (size_t i = 0; i < rules->count; i++)
		json_object_set_new(
			v, rules->rules[i].map,
			json_string(bl_carry_word_name(rules->rules[i].word)));
	return v;
}

static int inspect_json(const struct bl_bundle *b, struct bl_err *err)
{
	const struct bl_trial_limits *t = &b->manifest.trial;
	const struct bl_exercise_limits *e = &b->manifest.exercise;
	json_t *members = json_array();
	struct part parts[PARTS_MAX];
	size_t i, n = parts_of(b, parts);
	char hex[BL_DIGEST_HEX];

	for (i = 0; i < n; i++) {
		if (bl_digest(parts[i].data->data, parts[i].data->len, hex) < 0)
			hex[0] = '\0';
		json_array_append_new(members,
				      json_pack("{s:s, s:s, s:I, s:s}", "name",
						parts[i].name, "what",
						parts[i].what, "size_bytes",
						(json_int_t)parts[i].data->len,
						"digest", hex));
	}
	return print_json(
		json_pack(
			"{s:s, s:s, s:s, s:I, s:o, s:{s:I, s:f, s:I, s:I, s:I, s:f}, s:{s:o, s:f, s:I, s:I}, s:o}",
			"name", b->manifest.name, "version",
			b->manifest.version, "digest", b->digest, "size_bytes",
			(json_int_t)b->raw.len, "members", members, "trial",
			"probation_ms", (json_int_t)t->probation_ms,
			"max_drop_ratio", t->max_drop_ratio, "max_ns_per_event",
			(json_int_t)t->max_ns_per_event, "min_events",
			(json_int_t)t->min_events, "max_memory_bytes",
			(json_int_t)t->max_memory_bytes, "max_cpu_ratio",
			t->max_cpu_ratio, "exercise", "expect", expected(e),
			"max_drop_ratio", e->max_drop_ratio, "max_ns_per_event",
			(json_int_t)e->max_ns_per_event, "max_memory_bytes",
			(json_int_t)e->max_memory_bytes, "state",
			state_json(&b->manifest.state)),
		err);
}

static void print_exercise(const struct bl_exercise_limits *e)
{
	const char *comma = " ";

	printf("exercise: events of");
	for (unsigned kind = 0; kind < BL_EVENT_KINDS; kind++) {
		if (!(e->expect & BL_EXPECT(kind)))
			continue;
		printf("%s%s", comma, bl_event_kind_name(kind));
		comma = ", ";
	}
	if (!e->expect)
		printf("%s", e->expect_given ? " no kind"
					     : " what the content reports");
	printf("; lost: at most %g %%, time per event: at most %llu ns, kernel memory: at most %llu bytes\n",
	       e->max_drop_ratio * 100, (unsigned long long)e->max_ns_per_event,
	       (unsigned long long)e->max_memory_bytes);
}

static void print_state(const struct bl_carry_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		printf("%s%s %s", i ? ", " : "state: ", rules->rules[i].map,
		       bl_carry_word_name(rules->rules[i].word));
	if (rules->count)
		printf("\n");
}

static int inspect_text(const struct bl_bundle *b, struct bl_err *err)
{
	const struct bl_trial_limits *t = &b->manifest.trial;
	bl_autotable struct bl_table *table = bl_table_new(4);
	struct part parts[PARTS_MAX];
	size_t i, n = parts_of(b, parts);
	char hex[BL_DIGEST_HEX];

	if (!table) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	bl_table_row(table);
	bl_table_cell(table, BL_STYLE_PLAIN, "member");
	bl_table_cell(table, BL_STYLE_PLAIN, "what");
	bl_table_cell(table, BL_STYLE_PLAIN, "bytes");
	bl_table_cell(table, BL_STYLE_PLAIN, "sha256");
	for (i = 0; i < n; i++) {
		if (bl_digest(parts[i].data->data, parts[i].data->len, hex) < 0)
			hex[0] = '\0';
		bl_table_row(table);
		bl_table_cell(table, BL_STYLE_PLAIN, "%s", parts[i].name);
		bl_table_cell(table, BL_STYLE_PLAIN, "%s", parts[i].what);
		bl_table_cell(table, BL_STYLE_PLAIN, "%zu", parts[i].data->len);
		bl_table_cell(table, BL_STYLE_DIM, "%s", hex);
	}
	printf("%s %s\ndigest %s\n%zu bytes\n\n", b->manifest.name,
	       b->manifest.version, b->digest, b->raw.len);
	bl_table_print(table, stdout, "  ");
	printf("\ntrial: %g s probation, events: at least %llu, dropped: at most %g %%, time per event: at most %llu ns, processors: at most %g %%, kernel memory: at most %llu bytes\n",
	       (double)t->probation_ms / 1000,
	       (unsigned long long)t->min_events, t->max_drop_ratio * 100,
	       (unsigned long long)t->max_ns_per_event, t->max_cpu_ratio * 100,
	       (unsigned long long)t->max_memory_bytes);
	print_exercise(&b->manifest.exercise);
	print_state(&b->manifest.state);
	return BL_EXIT_OK;
}

static int cmd_inspect(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		BL_SOURCE_OPTIONS,
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	struct bl_source_show show;
	struct args a = { 0 };
	int r = read_args("bundle inspect", ":h", options, argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(usage_inspect, stdout);
		return BL_EXIT_OK;
	}
	bl_source_show(&show, &a.source);
	r = bl_source_bundle(a.file, &a.source, &b, err);
	bl_source_show_end(&show);
	if (r < 0)
		return exit_code(r);
	return a.json ? inspect_json(&b, err) : inspect_text(&b, err);
}

int bl_cmd_bundle(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_verb verbs[] = {
		{ "build", "pack a manifest and its files", cmd_build },
		{ "inspect", "show what is in a bundle", cmd_inspect },
		{ "pull", "fetch a bundle from a registry or a web server",
		  bl_cmd_bundle_pull },
		{ "sign", "put bundles into a signed repository",
		  bl_cmd_bundle_sign },
		{ "verify", "check a bundle, its digest and who signed it",
		  bl_cmd_bundle_verify },
	};

	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
