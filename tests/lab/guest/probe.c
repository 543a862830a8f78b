/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs inside a microVM, as root: loads a sensor object, gives it content, does
 * things, and compares what the sensor reports with what was done.
 *
 *	sensor_probe load OBJECT      every program through the verifier
 *	sensor_probe events OBJECT    every kind of event, and denial
 *	sensor_probe stress OBJECT    threads that preempt each other
 *	sensor_probe flood OBJECT     loses events under ordinary activity
 *	sensor_probe oob OBJECT       is refused, at the line that is wrong
 *
 * 0 if all is as it must be; what is not is printed, one line each.
 */
#include "bpf/sums.h"
#include "tests/lab/guest/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char content_json[] =
	"{\"contract\":1,"
	"\"default\":{\"exec\":\"emit\",\"connect\":\"emit\"},\"rules\":["
	"{\"id\":\"all\",\"event\":\"open\",\"prefix\":\"/t/\",\"action\":\"emit\"},"
	"{\"id\":\"quiet\",\"event\":\"open\",\"path\":\"/t/quiet\",\"action\":\"ignore\"},"
	"{\"id\":\"locked\",\"event\":\"open\",\"prefix\":\"/t/locked/\",\"action\":\"deny\"},"
	"{\"id\":\"key\",\"event\":\"open\",\"path\":\"/t/locked/key\",\"action\":\"emit\"},"
	"{\"id\":\"evil\",\"event\":\"exec\",\"path\":\"/t/evil\",\"action\":\"deny\"},"
	"{\"id\":\"script\",\"event\":\"exec\",\"path\":\"/t/script\",\"action\":\"deny\"},"
	"{\"id\":\"near\",\"event\":\"connect\",\"address\":\"127.1.0.0/16\",\"action\":\"ignore\"},"
	"{\"id\":\"one\",\"event\":\"connect\",\"address\":\"127.1.0.9\",\"action\":\"emit\"},"
	"{\"id\":\"six\",\"event\":\"connect\",\"address\":\"fd00::/8\",\"action\":\"ignore\"},"
	"{\"id\":\"six-one\",\"event\":\"connect\",\"address\":\"fd00::1\",\"action\":\"emit\"}"
	"]}";

struct bl_buf bin;
struct bpf_object *obj;
struct ring_buffer *ring;
unsigned failures, checks;

void fail(const char *fmt, ...)
{
	va_list ap;

	failures++;
	fputs("FAIL: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void die(const char *what)
{
	printf("FAIL: %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((format(printf, 2, 0))) static int
quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vprintf(fmt, ap) : 0;
}

/* Whether it has the helper that hashes a file: since 5.18. */
static bool hashes_files(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has;

	MUST(btf);
	has = btf__find_by_name_kind(btf, "bpf_ima_file_hash", BTF_KIND_FUNC) >
	      0;
	btf__free(btf);
	return has;
}

/* All of its programs, without those that refuse or hash (@lsm false), and
 * without those for which this kernel has no helper. */
static bool is_wanted(const struct bpf_program *prog, bool lsm, bool hashes)
{
	if (bpf_program__type(prog) != BPF_PROG_TYPE_LSM)
		return true;
	return lsm && (hashes || strncmp(bpf_program__name(prog), BL_SUM_FILL,
					 strlen(BL_SUM_FILL)) != 0);
}

void open_object(const char *path, bool lsm)
{
	bool hashes = hashes_files();
	struct bl_err err = { 0 };
	struct bl_content_info info;
	struct bpf_program *prog;
	struct bpf_map *map;
	uint32_t *rodata;
	size_t size;

	libbpf_set_print(quiet);
	if (bl_content_compile("content", content_json,
			       sizeof(content_json) - 1, &bin, &info, &err)) {
		puts(err.text);
		exit(1);
	}
	MUST(obj = bpf_object__open_file(path, NULL));
	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, is_wanted(prog, lsm, hashes));
	map = bpf_object__find_map_by_name(obj, "bl_content_slots");
	MUST(map && !bpf_map__set_max_entries(map, info.buckets));
	map = bpf_object__find_map_by_name(obj, ".rodata");
	MUST(map);
	rodata = (uint32_t *)bpf_map__initial_value(map, &size);
	MUST(rodata && size >= sizeof(*rodata));
	*rodata = GENERATION;
}

static void fill_content(void)
{
	int hdr = bpf_object__find_map_fd_by_name(obj, "bl_content_hdr");
	int slots = bpf_object__find_map_fd_by_name(obj, "bl_content_slots");
	uint32_t i, zero = 0;

	for (i = 0; i < bl_content_header(bin.data)->bucket_count; i++)
		MUST(!bpf_map_update_elem(slots, &i,
					  bl_content_buckets(bin.data) + i, 0));
	MUST(!bpf_map_update_elem(hdr, &zero, bl_content_header(bin.data), 0));
}

void start(const char *path, bool lsm, ring_buffer_sample_fn on_event)
{
	struct bpf_program *prog;

	open_object(path, lsm);
	MUST(!bpf_object__load(obj));
	fill_content();
	bpf_object__for_each_program (prog, obj) {
		if (bpf_program__fd(prog) >= 0)
			MUST(bpf_program__attach(prog));
	}
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(obj,
								"bl_events"),
				on_event, NULL, NULL);
	MUST(ring);
}

struct bl_stats stats(void)
{
	int fd = bpf_object__find_map_fd_by_name(obj, "bl_stats");
	int cpus = libbpf_num_possible_cpus(), i;
	struct bl_stats *v = calloc(cpus, sizeof(*v)), sum = { 0 };
	uint32_t zero = 0;

	MUST(v && !bpf_map_lookup_elem(fd, &zero, v));
	for (i = 0; i < cpus; i++) {
		sum.seen += v[i].seen;
		sum.emitted += v[i].emitted;
		sum.ignored += v[i].ignored;
		sum.dropped += v[i].dropped;
		sum.denied += v[i].denied;
		sum.torn += v[i].torn;
	}
	free(v);
	return sum;
}

void drain(void)
{
	MUST(ring_buffer__consume(ring) >= 0);
}

int touch(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *path);
	} modes[] = { { "load", load_mode },
		      { "events", events_mode },
		      { "flood", flood_mode },
		      { "oob", oob_mode },
		      { "stress", stress_mode } };
	unsigned i;

	/* The copies that check_identity and check_deny run. */
	if (argc == 2 && !strcmp(argv[1], "exit"))
		return 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc == 3 && i < BL_ARRAY_SIZE(modes); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		if (modes[i].run(argv[2]))
			return 1;
		printf("%s: %u checks, %u failed\n", argv[1], checks, failures);
		return failures != 0;
	}
	fputs("usage: sensor_probe load|events|stress|flood|oob OBJECT\n",
	      stderr);
	return 64;
}
