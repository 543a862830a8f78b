/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/peer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/vm.h"
#include "tests/bench/peer_read.h"

#define DEADLINE_MS (90 * 60 * 1000)
#define OUTPUT_MAX  (256u << 20)
#define VM_POLL_MS  500

/* How the objects are verified, by either side. */
#define OURS   "belay probe"
#define LOADER "veristat/ld-linux-x86-64.so.2"
#define THEIRS                                                         \
	LOADER " --library-path veristat veristat/veristat -q -o csv " \
	       "-e file,prog,verdict,total_insns,total_states,peak_states"

/* Every line that is for us begins with @@. */
static const char script[] =
	"cd /set || exit 9\n"
	"mkdir /out\n"
	"now() { read -r up rest </proc/uptime; echo \"$up\"; }\n"
	"ours() { " OURS " *.bpf.o >/out/ours 2>/out/err; }\n"
	"theirs() { " THEIRS " *.bpf.o >/out/theirs 2>/out/err; }\n"
	"turn=0\n"
	"while [ $turn -lt $1 ]; do\n"
	"	a=$(now); ours; b=$(now); theirs; c=$(now)\n"
	"	echo; echo \"@@time $a $b $c\"\n"
	"	turn=$((turn + 1))\n"
	"done\n"
	"echo @@ours; cat /out/ours; echo; echo @@theirs; cat /out/theirs\n"
	"echo; echo @@end\n";

const char *peer_ours(void)
{
	return OURS;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The line of DIR/packages that says which veristat it is. */
static char *version(const char *dir)
{
	bl_autofree char *path = bl_path("%s/packages", dir);
	bl_autobuf struct bl_buf b = { 0 };
	char name[64];

	if (!path || bl_file_read(path, 1 << 16, &b, NULL) < 0)
		return NULL;
	for (const char *p = bl_buf_str(&b); p && *p;) {
		if (sscanf(p, "veristat %63s", name) == 1)
			return bl_path("veristat %s", name);
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return NULL;
}

static int list_objects(struct peer_set *s, struct bl_err *err)
{
	bl_autoclosedir DIR *d = opendir(s->dir);
	struct dirent *e;

	s->objects = calloc(PEER_OBJECTS_MAX, sizeof(*s->objects));
	if (!s->objects)
		return bl_err_set(err, -ENOMEM, "out of memory");
	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len < 7 || strcmp(e->d_name + len - 6, ".bpf.o") != 0)
			continue;
		if (s->count == PEER_OBJECTS_MAX)
			return bl_err_set(err, -E2BIG,
					  "more than %d objects in %s",
					  PEER_OBJECTS_MAX, s->dir);
		s->objects[s->count++] = strdup(e->d_name);
	}
	qsort(s->objects, s->count, sizeof(*s->objects), by_name);
	return 0;
}

int peer_set_load(struct peer_set *ret, struct bl_err *err)
{
	bl_autofree char *cache = bl_path_cache();
	struct peer_set s = { 0 };
	int r;

	s.dir = cache ? bl_path("%s/objects", cache) : NULL;
	if (!s.dir)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = list_objects(&s, err);
	s.veristat = r == 0 ? version(s.dir) : NULL;
	if (r == 0 && (!s.count || !s.veristat)) {
		r = bl_err_set(err, -ENOENT,
			       "no objects with veristat beside them in %s",
			       s.dir);
		bl_err_hint(err, "scripts/objects fetches them");
	}
	if (r < 0)
		peer_set_free(&s);
	else
		*ret = s;
	return r;
}

void peer_set_free(struct peer_set *s)
{
	while (s->count)
		free(s->objects[--s->count]);
	free(s->objects);
	free(s->dir);
	free(s->veristat);
	*s = (struct peer_set){ 0 };
}

/* What goes into the guest: objects, the folder veristat/, the kernel's
 * configuration for those objects that ask for it. */
struct load {
	struct bl_vm_file files[BL_VM_FILES_MAX];
	char *owned[2 * BL_VM_FILES_MAX];
	size_t count, owned_count;
};

static void load_free(struct load *l)
{
	while (l->owned_count)
		free(l->owned[--l->owned_count]);
}

/* Takes both strings over. */
static int carry(struct load *l, char *src, char *dst, struct bl_err *err)
{
	if (l->count == BL_VM_FILES_MAX || !src || !dst) {
		free(src);
		free(dst);
		return bl_err_set(err, -E2BIG, "too much for one guest");
	}
	l->owned[l->owned_count++] = src;
	l->owned[l->owned_count++] = dst;
	l->files[l->count++] = (struct bl_vm_file){ src, dst };
	return 0;
}

static int pack(const struct peer_set *set, const struct bl_kernel *k,
		struct load *l, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/veristat", set->dir);
	bl_autoclosedir DIR *d = path ? opendir(path) : NULL;
	struct dirent *e;
	size_t i;
	int r;

	r = carry(l, bl_path("%s/config", k->dir),
		  bl_path("/boot/config-%s", k->release), err);
	for (i = 0; r == 0 && i < set->count; i++)
		r = carry(l, bl_path("%s/%s", set->dir, set->objects[i]),
			  bl_path("/set/%s", set->objects[i]), err);
	while (r == 0 && d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = carry(l, bl_path("%s/%s", path, e->d_name),
				  bl_path("/set/veristat/%s", e->d_name), err);
	return r;
}

static int start(const struct peer_set *set, const struct bl_kernel *k,
		 unsigned turns, struct bl_vm **ret, struct bl_err *err)
{
	BL_CLEANUP(load_free) struct load load = { 0 };
	bl_autofree char *times = bl_path("%u", turns);
	bl_autofree char *cache = bl_path_cache();
	bl_autofree char *logs = cache ? bl_path("%s/logs", cache) : NULL;
	bl_autofree char *name = bl_path("bench-%s", k->release);
	const char *argv[] = { "/bin/sh", "-c", script, "sh", times, NULL };
	struct bl_vm_spec spec = {
		.kernel = k,
		.name = name,
		.log_dir = logs,
		.argv = argv,
		.files = load.files,
		.mem_mib = PEER_MEM_MIB,
		.deadline_ms = DEADLINE_MS,
		.max_output = OUTPUT_MAX,
		.output_fd = -1,
	};
	int r;

	if (!times || !logs || !name)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = pack(set, k, &load, err);
	spec.file_count = load.count;
	return r < 0 ? r : bl_vm_start(&spec, ret, err);
}

static int collect(const struct bl_vm *vm, const struct bl_kernel *k,
		   struct peer_result *ret, struct bl_err *err)
{
	const struct bl_vm_result *res = bl_vm_result(vm);
	int r;

	if (res->outcome != BL_VM_EXITED || res->exit_status ||
	    res->output_lost)
		return bl_err_set(err, -EIO, "%s: %s, status %d: %s (see %s)",
				  k->release, bl_vm_outcome_name(res->outcome),
				  res->exit_status, res->reason, res->log_path);
	ret->kernel = k;
	r = peer_read(bl_buf_str(&res->output), res->output.len, ret, err);
	return r < 0 ? bl_err_wrap(err, r, "%s", k->release) : 0;
}

static void free_vms(struct bl_vm **vms, size_t count)
{
	while (count)
		bl_vm_free(vms[--count]);
	free(vms);
}

int peer_run(const struct peer_set *set, const struct bl_kernel *const *kernels,
	     size_t count, unsigned turns, unsigned jobs,
	     struct peer_result *results, struct bl_err *err)
{
	struct bl_vm **vms = calloc(count, sizeof(struct bl_vm *));
	size_t started = 0, over = 0, i;
	int r;

	setenv("BELAY_GUEST_BINARY", BENCH_BELAY, 0);
	r = vms ? 0 : bl_err_set(err, -ENOMEM, "out of memory");

	while (r >= 0 && over < count) {
		if (started < count && started - over < jobs) {
			r = start(set, kernels[started], turns, &vms[started],
				  err);
			started++;
			continue;
		}
		r = bl_vm_poll(vms, started, VM_POLL_MS, err);
		over += r > 0 ? (size_t)r : 0;
	}
	for (i = 0; r >= 0 && i < count; i++)
		r = collect(vms[i], kernels[i], &results[i], err);
	free_vms(vms, vms ? count : 0);
	return r < 0 ? r : 0;
}
