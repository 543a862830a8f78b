/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs inside a microVM, as root: makes the maps of an object, one after the
 * other, fills those that take memory with each entry, and holds the gate's
 * estimate against what the kernel charges (memlock in fdinfo) and what is gone
 * from its free memory.
 *
 *	maps_probe OBJECT
 *
 * A line for each map. 1 if an estimate is wrong, or if fewer than half of the
 * maps could be made.
 *
 * Kernels from 5.11 to 6.3 charge by a rule of thumb that knows no ring buffer
 * and no bucket: their charge is shown, not judged. Free memory is rough (pages
 * are kept at hand, counters lag) and is judged only where no kernel charges
 * what it takes. Maps stay until the end: what is freed comes back late, and
 * would count for the next one.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/maps/maps.h"

#define FILE_MAX     (1 << 20)
#define CHARGE_RATIO 0.02
#define CHARGE_NOISE (8u << 10) /* 5.10 charges whole pages */
#define USED_FACTOR  2

static unsigned made, failures;

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* A number of kB or bytes behind @key in a file of /proc. */
static uint64_t number_in(const char *path, const char *key)
{
	bl_autofclose FILE *f = fopen(path, "re");
	unsigned long long n = 0;
	char line[256];
	size_t len = strlen(key);

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, len) == 0)
			n = strtoull(line + len, NULL, 10);
	return n;
}

static uint64_t free_bytes(void)
{
	return number_in("/proc/meminfo", "MemFree:") * 1024;
}

static uint64_t memlock(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return number_in(path, "memlock:");
}

/* Entries of what is not allocated in advance. Every key is another one. */
static void fill(const struct bl_map_def *d, int fd)
{
	unsigned char key[64] = { 0 }, value[256] = { 0 };
	uint32_t i, mixed;

	if (!(d->flags & BPF_F_NO_PREALLOC) || d->key_size > sizeof(key) ||
	    d->value_size > sizeof(value))
		return;
	for (i = 0; i < d->max_entries; i++) {
		mixed = i * 2654435761u; /* spreads over the whole range */
		memcpy(key, &(uint32_t){ 32 }, 4); /* of a trie: its prefix */
		memcpy(key + 4, &mixed, 4);
		if (bpf_map_update_elem(fd, key, value, BPF_ANY) < 0) {
			printf("FAIL: %s: entry %u: %s\n", d->name, i,
			       strerror(errno));
			failures++;
			return;
		}
	}
}

/* Everything but @name stays away. The object is never closed. */
static struct bpf_object *make(const char *path, const char *name)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;
	struct bpf_map *map;

	if (!obj)
		return NULL;
	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, false);
	bpf_object__for_each_map (map, obj)
		bpf_map__set_autocreate(map,
					strcmp(bpf_map__name(map), name) == 0);
	if (bpf_object__load(obj) == 0)
		return obj;
	bpf_object__close(obj);
	return NULL;
}

/* Whether this kernel's charge is what a map of this type takes. */
static bool charges_all(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	return major < 5 || (major == 5 && minor < 11) || major > 6 ||
	       (major == 6 && minor >= 4);
}

static bool is_near(uint64_t a, uint64_t b)
{
	uint64_t apart = a > b ? a - b : b - a;

	return (double)apart <= (double)a * CHARGE_RATIO + CHARGE_NOISE;
}

static bool is_right(const struct bl_map_def *d, uint64_t estimate,
		     uint64_t charged, uint64_t used)
{
	/* Its forks are charged nowhere, and are half of it. */
	if (d->type == BPF_MAP_TYPE_LPM_TRIE &&
	    (used < estimate / USED_FACTOR || used > estimate * USED_FACTOR))
		return false;
	if (!charges_all())
		return true;
	/* Entries that come one by one are charged without their slab's rest;
	 * the last two cannot be filled here. */
	if (d->flags & BPF_F_NO_PREALLOC || d->type == BPF_MAP_TYPE_SOCKHASH ||
	    d->type == BPF_MAP_TYPE_DEVMAP_HASH)
		return charged <= estimate + CHARGE_NOISE;
	return is_near(estimate, charged);
}

static void judge(const struct bl_map_def *d, uint64_t estimate,
		  uint64_t charged, uint64_t used)
{
	bool right = is_right(d, estimate, charged, used);
	char type[BL_MAP_TYPE_NAME_LEN];

	printf("%s %-18s %-18s estimate %9llu charged %9llu used %9llu\n",
	       right ? "ok   " : "FAIL:", d->name,
	       bl_map_type_name(d->type, type), (unsigned long long)estimate,
	       (unsigned long long)charged, (unsigned long long)used);
	failures += !right;
}

static void measure(const char *path, const struct bl_map_def *d, unsigned cpus)
{
	uint64_t before = free_bytes(), after;
	struct bpf_object *obj = make(path, d->name);
	int fd;

	if (!obj) {
		printf("      %-22s not on this kernel\n", d->name);
		return;
	}
	made++;
	fd = bpf_object__find_map_fd_by_name(obj, d->name);
	fill(d, fd);
	after = free_bytes();
	judge(d, bl_map_bytes(d, cpus), memlock(fd),
	      before > after ? before - after : 0);
}

int main(int argc, char **argv)
{
	bl_automaps struct bl_map_list list = { 0 };
	bl_autoobject struct bl_object o = { 0 };
	bl_autobuf struct bl_buf file = { 0 };
	struct bl_err err = { 0 };
	int cpus = libbpf_num_possible_cpus();
	size_t i, defined = 0;

	libbpf_set_print(silent);
	if (argc != 2 || cpus < 1 ||
	    bl_file_read(argv[1], FILE_MAX, &file, &err) < 0 ||
	    bl_object_open(argv[1], file.data, file.len, &o, &err) < 0 ||
	    bl_map_list_read(&o, &list, &err) < 0) {
		printf("FAIL: %s\n", err.text);
		return 1;
	}
	printf("%d possible CPUs\n", cpus);
	for (i = 0; i < list.count; i++) {
		if (list.defs[i].implicit)
			continue;
		defined++;
		measure(argv[1], &list.defs[i], (unsigned)cpus);
	}
	printf("%u of %zu maps made, %u failures\n", made, defined, failures);
	return failures || made * 2 < defined;
}
