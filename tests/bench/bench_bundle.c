/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bundle costs beside the tools that one would use without it: tar,
 * zstd and sha256sum, with the sensor of this build and content of 10,000
 * rules.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "tests/bench/bench.h"

#define RULES 10000

static const char *dir;

static void need_ok(int r, const char *what)
{
	struct bl_err err = { 0 };

	snprintf(err.text, sizeof(err.text), "%s", what);
	bench_need(r, &err);
}

static void put(const char *name, const void *data, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	struct bl_err err = { 0 };

	bench_need(bl_file_write(path, data, len, 0644, &err), &err);
}

static void write_inputs(void)
{
	static const char manifest[] =
		"{\"name\":\"bench\",\"version\":\"1\","
		"\"object\":\"sensor.bpf.o\",\"content\":\"content.json\"}\n";
	bl_autobuf struct bl_buf object = { 0 };
	bl_autobuf struct bl_buf content = { 0 };
	struct bl_err err = { 0 };
	int i, r;

	bench_need(bl_file_read(BENCH_BUILD "/bpf/sensor.bpf.o", BL_OBJECT_MAX,
				&object, &err),
		   &err);
	r = bl_buf_printf(&content, "{\"contract\": 1, \"rules\": [\n");
	for (i = 0; !r && i < RULES; i++)
		r = bl_buf_printf(
			&content,
			"{\"event\": \"open\", \"path\": \"/srv/data/%d/secret-%d\", \"action\": \"emit\"}%s\n",
			i % 97, i, i + 1 < RULES ? "," : "]}");
	need_ok(r, "out of memory");
	put("manifest.json", manifest, sizeof(manifest) - 1);
	put("sensor.bpf.o", object.data, object.len);
	put("content.json", content.data, content.len);
}

static int parse(void *ctx, struct bl_err *err)
{
	const struct bl_buf *raw = ctx;
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };

	return bl_bundle_parse("bench", raw->data, raw->len, &b, err);
}

/* The floor: decompress, walk the members, digest the file. */
static int walk(void *ctx, struct bl_err *err)
{
	static char member[BL_BUNDLE_UNPACKED_MAX];
	const struct bl_buf *raw = ctx;
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char hex[BL_DIGEST_HEX];
	int r;

	archive_read_support_filter_zstd(a);
	archive_read_support_format_tar(a);
	r = archive_read_open_memory(a, raw->data, raw->len);
	while (!r && (r = archive_read_next_header(a, &e)) == ARCHIVE_OK)
		r = archive_read_data(a, member, sizeof(member)) < 0;
	archive_read_free(a);
	if (r != ARCHIVE_EOF)
		return bl_err_set(err, -EIO, "libarchive cannot read it");
	return bl_digest(raw->data, raw->len, hex);
}

static int compile(void *ctx, struct bl_err *err)
{
	const struct bl_buf *json = ctx;
	bl_autobuf struct bl_buf bin = { 0 };

	return bl_content_compile("bench", json->data, json->len, &bin, NULL,
				  err);
}

static void bench_commands(void)
{
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	bl_autofree char *bundle = bl_path("%s/a.bundle", dir);
	bl_autofree char *pack = bl_path(
		"cd %s && tar --format=ustar --mtime=@0 --owner=0 --group=0 -c manifest.json sensor.bpf.o content.json | zstd -9 -q -f -o a.tar.zst && sync a.tar.zst && sha256sum a.tar.zst >a.sum",
		dir);
	bl_autofree char *unpack = bl_path(
		"cd %s && sha256sum --quiet -c a.sum && zstd -dqc a.tar.zst | tar -xO >/dev/null",
		dir);
	const char *build_argv[] = { BENCH_BELAY, "bundle", "build", manifest,
				     "-o",	  bundle,   NULL };
	const char *verify_argv[] = { BENCH_BELAY, "bundle", "verify", bundle,
				      NULL };
	const char *pack_argv[] = { "sh", "-c", pack, NULL };
	const char *unpack_argv[] = { "sh", "-c", unpack, NULL };

	bench_compare(&(struct bench_pair){
		.what = "build, command",
		.ours = bench_command,
		.ours_ctx = build_argv,
		.peer = "tar | zstd -9, sync, sha256sum",
		.theirs = bench_command,
		.theirs_ctx = pack_argv,
		.how = "sensor and content of 10000 rules to a file on disk; ours also checks, compiles and digests each member, the peer does not" });
	bench_compare(&(struct bench_pair){
		.what = "verify, command",
		.ours = bench_command,
		.ours_ctx = verify_argv,
		.peer = "sha256sum -c, zstd -d | tar -x",
		.theirs = bench_command,
		.theirs_ctx = unpack_argv,
		.how = "the file just built; ours also compiles the content again and compares, the peer does not" });
}

static void bench_size(const struct bl_buf *raw)
{
	bl_autofree char *path = bl_path("%s/a.tar.zst", dir);
	struct stat st;

	need_ok(stat(path, &st), "the peer wrote no file");
	bench_add(&(struct bench_value){
		.what = "size",
		.unit = "bytes",
		.better = "lower",
		.value = (double)raw->len,
		.peer = "tar | zstd -9",
		.peer_value = (double)st.st_size,
		.how = "size of the files of 'build, command'; ours also holds the compiled content and the digests" });
}

int main(int argc, char **argv)
{
	bl_autofree char *manifest = NULL;
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	struct bl_err err = { 0 };

	bench_open("bundle", argc, argv);
	dir = bench_work();
	manifest = bl_path("%s/manifest.json", dir);
	write_inputs();
	bench_need(bl_bundle_build(manifest, &b, &err), &err);
	bench_commands();
	bench_size(&b.raw);
	bench_compare(&(struct bench_pair){
		.what = "parse, in process",
		.ours = parse,
		.ours_ctx = &b.raw,
		.peer = "libarchive walk, sha256",
		.theirs = walk,
		.theirs_ctx = &b.raw,
		.how = "the bytes of the bundle in memory; the peer checks nothing" });
	bench_compare(
		&(struct bench_pair){ .what = "compile content, in process",
				      .ours = compile,
				      .ours_ctx = &b.content_json,
				      .how = "10000 rules of exact paths" });
	return bench_close();
}
