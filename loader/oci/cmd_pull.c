/* SPDX-License-Identifier: Apache-2.0 */
/* belay bundle pull: a bundle from wherever it is, into a file. */
#include "loader/oci/cmd_pull.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/oci/cmd_source.h"
#include "loader/oci/layout.h"
#include "loader/verbs.h"

static const char usage[] =
	"usage: belay bundle pull SOURCE -o FILE [options] [--json]\n"
	"\n"
	"Fetches a bundle, checks that it is intact and the one that was asked for,\n"
	"and writes it to FILE, whole or not at all. SOURCE is one of\n"
	"\n"
	"  oci://HOST[:PORT]/NAME@sha256:DIGEST  in a registry, by its manifest's digest\n"
	"  https://HOST/PATH[#sha256:DIGEST]     on a web server; the bundle's digest\n"
	"  FILE                                  a bundle, or an oci-archive of one\n"
	"\n"
	"A tag is not taken: whoever can write to a registry can move it. The digest of\n"
	"what a tag is now:  skopeo inspect --raw docker://HOST/NAME:TAG | sha256sum\n"
	"Exit status: 0 written, 1 it is not what it should be, 2 it did not come.\n"
	"\n"
	"  -o, --output FILE      write it here\n"
	"      --format FORM      bundle, or oci: an oci-archive, which skopeo copies to\n"
	"                         a registry (default: oci if FILE ends in .oci)\n"
	"      --digest HEX       the digest that the bundle must have\n" //
	BL_SOURCE_USAGE "      --json             print the result as JSON\n"
	"\n"
	"example: belay bundle pull oci://reg.example/sensors/web@sha256:8d24… -o web.bundle\n"
	"         skopeo copy oci-archive:web.oci docker://reg.example/sensors/web:1.0\n";

struct args {
	const char *where, *output, *format, *digest;
	struct bl_source_options source;
	bool json, help;
};

enum { OPT_JSON = 256, OPT_FORMAT, OPT_DIGEST };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "digest", required_argument, NULL, OPT_DIGEST },
	BL_SOURCE_OPTIONS,
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

bool bl_output_form_by_name(const char *name, enum bl_output_form *ret)
{
	if (strcmp(name, "oci") == 0)
		*ret = BL_OUTPUT_OCI;
	else if (strcmp(name, "bundle") == 0)
		*ret = BL_OUTPUT_BUNDLE;
	else
		return false;
	return true;
}

static bool is_oci(const char *path, enum bl_output_form form)
{
	size_t len = strlen(path);

	if (form == BL_OUTPUT_BY_NAME)
		return len > 4 && strcmp(path + len - 4, ".oci") == 0;
	return form == BL_OUTPUT_OCI;
}

int bl_output_write(const struct bl_bundle *b, const char *path,
		    enum bl_output_form form,
		    char ret_manifest[static BL_DIGEST_HEX], struct bl_err *err)
{
	bl_autobuf struct bl_buf archive = { 0 };
	int r;

	ret_manifest[0] = '\0';
	if (!is_oci(path, form))
		return bl_file_write(path, b->raw.data, b->raw.len, 0644, err);
	r = bl_layout_pack(b, &archive, ret_manifest, err);
	return r ? r
		 : bl_file_write(path, archive.data, archive.len, 0644, err);
}

int bl_output_report(const struct bl_bundle *b, const char *path,
		     const char *manifest, bool json, struct bl_err *err)
{
	bl_autofree char *text = NULL;
	json_t *v;

	if (!json) {
		printf("%s  %s %s  %s\n", b->digest, b->manifest.name,
		       b->manifest.version, path);
		if (*manifest)
			printf("in a registry: @sha256:%s\n", manifest);
		return BL_EXIT_OK;
	}
	v = json_pack("{s:s, s:s, s:s, s:s, s:I}", "file", path, "name",
		      b->manifest.name, "version", b->manifest.version,
		      "digest", b->digest, "size_bytes",
		      (json_int_t)b->raw.len);
	if (v && *manifest)
		json_object_set_new(v, "manifest_digest",
				    json_string(manifest));
	text = v ? bl_json_dump(v) : NULL;
	if (!text) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	fputs(text, stdout);
	return BL_EXIT_OK;
}

static int take(int c, const char *word, struct args *o, struct bl_err *err)
{
	if (bl_source_option(c, optarg, &o->source))
		return 0;
	switch (c) {
	case 'o':
		o->output = optarg;
		return 0;
	case OPT_FORMAT:
		o->format = optarg;
		return 0;
	case OPT_DIGEST:
		o->digest = optarg;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	default:
		return bl_cli_usage(err, "bundle pull",
				    c == ':' ? "option '%s' needs a value"
					     : "unknown option '%s'",
				    word);
	}
}

static int read_args(int argc, char **argv, struct args *o, struct bl_err *err)
{
	int c, r = 0;

	optind = 0; /* glibc: start anew */
	opterr = 0;
	while (!r && !o->help &&
	       (c = getopt_long(argc, argv, ":ho:", options, NULL)) != -1)
		r = take(c, argv[optind - 1], o, err);
	if (r || o->help)
		return r;
	if (optind + 1 != argc)
		return bl_cli_usage(err, "bundle pull",
				    optind == argc
					    ? "from where? nothing was given"
					    : "one source was expected, not %d",
				    argc - optind);
	o->where = argv[optind];
	return 0;
}

/* What is wrong with how it was called: before anybody is asked anything. */
static int check_usage(const struct args *o, enum bl_output_form *ret,
		       struct bl_err *err)
{
	struct bl_reference ref;

	if (!o->output)
		return bl_cli_usage(err, "bundle pull",
				    "where to? give -o FILE");
	if (o->format && !bl_output_form_by_name(o->format, ret))
		return bl_cli_usage(err, "bundle pull",
				    "--format is bundle or oci, not '%s'",
				    o->format);
	if (o->digest && !bl_digest_valid(o->digest))
		return bl_cli_usage(
			err, "bundle pull",
			"--digest wants 64 digits of 0-9 and a-f, not '%s'",
			o->digest);
	if (bl_file_same(o->where, o->output))
		return bl_cli_usage(err, "bundle pull",
				    "-o %s would replace what is read",
				    o->output);
	return bl_reference_read(o->where, &ref, err) < 0 ? BL_EXIT_USAGE : 0;
}

static int pull(struct args *o, struct bl_bundle *ret, struct bl_err *err)
{
	struct bl_source_show show;
	int r;

	o->source.any = true;
	bl_source_show(&show, &o->source);
	r = bl_source_bundle(o->where, &o->source, ret, err);
	bl_source_show_end(&show);
	if (!r && o->digest && strcmp(o->digest, ret->digest) != 0)
		r = bl_err_set(
			err, -EBADMSG,
			"%s is an intact bundle, but another one: its digest is %s",
			o->where, ret->digest);
	return r;
}

int bl_cmd_bundle_pull(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	enum bl_output_form form = BL_OUTPUT_BY_NAME;
	char manifest[BL_DIGEST_HEX];
	struct args o = { .where = NULL };
	int r;

	r = read_args(argc, argv, &o, err);
	if (r)
		return r;
	if (o.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	r = check_usage(&o, &form, err);
	if (r)
		return r;
	bl_cli_catch_signals();
	r = pull(&o, &b, err);
	if (r < 0)
		return r == -EBADMSG || r == -EFBIG ? BL_EXIT_REJECTED
						    : BL_EXIT_UNDECIDED;
	if (bl_output_write(&b, o.output, form, manifest, err) < 0)
		return BL_EXIT_UNDECIDED;
	return bl_output_report(&b, o.output, manifest, o.json, err);
}
