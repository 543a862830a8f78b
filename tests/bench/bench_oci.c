/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to have a bundle from a registry: docker-registry on the
 * loopback, content of 300,000 rules; belay beside skopeo and curl. And the
 * archive that skopeo takes, beside tar.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/oci/layout.h"
#include "loader/oci/source.h"
#include "tests/bench/bench.h"

#define RULES	 300000
#define START_MS 20000

static const char *dir;
static pid_t registry;
static unsigned port;

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

/* Paths as of files by their hashes: what compresses badly. */
static void write_inputs(void)
{
	static const char manifest[] =
		"{\"name\":\"bench\",\"version\":\"1\","
		"\"object\":\"sensor.bpf.o\",\"content\":\"content.json\"}\n";
	bl_autobuf struct bl_buf object = { 0 };
	bl_autobuf struct bl_buf content = { 0 };
	struct bl_err err = { 0 };
	char hex[BL_DIGEST_HEX];
	int i, r;

	bench_need(bl_file_read(BENCH_BUILD "/bpf/sensor.bpf.o", BL_OBJECT_MAX,
				&object, &err),
		   &err);
	r = bl_buf_printf(&content, "{\"contract\": 1, \"rules\": [\n");
	for (i = 0; !r && i < RULES; i++) {
		bl_digest(&i, sizeof(i), hex);
		r = bl_buf_printf(
			&content,
			"{\"event\": \"open\", \"path\": \"/srv/%.48s\", \"action\": \"emit\"}%s\n",
			hex, i + 1 < RULES ? "," : "]}");
	}
	need_ok(r, "out of memory");
	put("manifest.json", manifest, sizeof(manifest) - 1);
	put("sensor.bpf.o", object.data, object.len);
	put("content.json", content.data, content.len);
}

static void run(const char *line)
{
	const char *argv[] = { "sh", "-c", line, NULL };
	struct bl_err err = { 0 };

	bench_need(bench_command(argv, &err), &err);
}

/* docker-registry with a port of its choice, which it tells to its log. */
static unsigned read_port(void)
{
	bl_autofree char *path = bl_path("%s/registry.log", dir);
	bl_autobuf struct bl_buf log = { 0 };
	const char *at = NULL;

	if (bl_file_read(path, 16u << 20, &log, NULL) == 0)
		at = strstr(bl_buf_str(&log), "listening on 127.0.0.1:");
	return at ? (unsigned)atoi(at + strlen("listening on 127.0.0.1:")) : 0;
}

static void start_registry(void)
{
	bl_autofree char *config = bl_path("%s/registry.yml", dir);
	bl_autofree char *text =
		bl_path("version: 0.1\nlog: {level: info}\n"
			"storage: {filesystem: {rootdirectory: %s/store}}\n"
			"http: {addr: 127.0.0.1:0}\n",
			dir);
	bl_autofree char *log = bl_path("%s/registry.log", dir);
	uint64_t end = bl_clock_mono_ms() + START_MS;

	put("registry.yml", text, strlen(text));
	registry = fork();
	if (registry == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen(log, "w", stdout) || dup2(1, 2) < 0)
			_exit(99);
		execlp("docker-registry", "docker-registry", "serve", config,
		       NULL);
		_exit(99);
	}
	while (!(port = read_port())) {
		need_ok(bl_clock_mono_ms() < end ? 0 : -ETIME,
			"docker-registry does not start (scripts/setup)");
		bl_clock_sleep_ms(50);
	}
}

struct pulled {
	char *where;
};

static int pull(void *ctx, struct bl_err *err)
{
	const struct pulled *p = ctx;
	const struct bl_source_options o = { .transfer.plain_http = true };
	bl_autobuf struct bl_buf out = { 0 };

	return bl_source_read(p->where, &o, BL_BUNDLE_MAX, &out, err);
}

static void bench_pull(const char *digest, const char *layer)
{
	bl_autofree char *to = bl_path("%s/pulled.bundle", dir);
	struct pulled p = { bl_path("oci://127.0.0.1:%u/web@sha256:%s", port,
				    digest) };
	const char *ours[] = { BENCH_BELAY,    "bundle", "pull", p.where,
			       "--plain-http", "-o",	 to,	 NULL };
	bl_autofree char *skopeo = bl_path(
		"rm -rf %s/copied && skopeo copy -q --insecure-policy --src-tls-verify=false docker://127.0.0.1:%u/web@sha256:%s oci:%s/copied && sync -f %s/copied",
		dir, port, digest, dir, dir);
	bl_autofree char *curl = bl_path(
		"curl -sf http://127.0.0.1:%u/v2/web/blobs/sha256:%s | sha256sum | grep -q %s",
		port, layer, layer);
	const char *by_skopeo[] = { "sh", "-c", skopeo, NULL };
	const char *by_curl[] = { "sh", "-c", curl, NULL };

	bench_compare(&(struct bench_pair){
		.what = "pull, command",
		.ours = bench_command,
		.ours_ctx = ours,
		.peer = "skopeo copy to a folder, sync",
		.theirs = bench_command,
		.theirs_ctx = by_skopeo,
		.turns = 11,
		.how = "by digest from docker-registry on the loopback to a file on disk; ours also parses the bundle (compiles its 300000 rules again), the peer does not" });
	bench_compare(&(struct bench_pair){
		.what = "pull, in process",
		.ours = pull,
		.ours_ctx = &p,
		.peer = "curl of the blob | sha256sum",
		.theirs = bench_command,
		.theirs_ctx = by_curl,
		.turns = 21,
		.how = "to memory and verified, not parsed; ours also the manifest, the peer only the blob, and starts three programs" });
	free(p.where);
}

static int unpack(void *ctx, struct bl_err *err)
{
	const struct bl_buf *archive = ctx;
	bl_autobuf struct bl_buf out = { 0 };
	char manifest[BL_DIGEST_HEX];

	return bl_layout_unpack("bench", archive->data, archive->len, &out,
				manifest, err);
}

/* The floor: every byte hashed once. */
static int hash(void *ctx, struct bl_err *err)
{
	const struct bl_buf *archive = ctx;
	char hex[BL_DIGEST_HEX];

	(void)err;
	return bl_digest(archive->data, archive->len, hex);
}

int main(int argc, char **argv)
{
	bl_autofree char *manifest = NULL;
	bl_autofree char *copy = NULL;
	bl_autobuf struct bl_buf archive = { 0 };
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	char digest[BL_DIGEST_HEX];
	struct bl_err err = { 0 };

	bench_open("oci", argc, argv);
	dir = bench_work();
	manifest = bl_path("%s/manifest.json", dir);
	write_inputs();
	bench_need(bl_bundle_build(manifest, &b, &err), &err);
	bench_need(bl_layout_pack(&b, &archive, digest, &err), &err);
	put("a.oci", archive.data, archive.len);
	start_registry();
	copy = bl_path(
		"skopeo copy -q --insecure-policy --dest-tls-verify=false oci-archive:%s/a.oci docker://127.0.0.1:%u/web:1",
		dir, port);
	run(copy);
	bench_add(&(struct bench_value){
		.what = "archive",
		.unit = "bytes",
		.better = "lower",
		.value = (double)archive.len,
		.peer = "the bundle in it",
		.peer_value = (double)b.raw.len,
		.how = "size of the oci-archive of the bundle that is pulled" });
	bench_pull(digest, b.digest);
	bench_compare(&(struct bench_pair){
		.what = "unpack, in process",
		.ours = unpack,
		.ours_ctx = &archive,
		.peer = "SHA-256 of the archive",
		.theirs = hash,
		.theirs_ctx = &archive,
		.how = "the archive in memory: every member and every digest checked; the peer is what hashing alone costs" });
	kill(registry, SIGTERM);
	waitpid(registry, NULL, 0);
	return bench_close();
}
