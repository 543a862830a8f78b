/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs inside a microVM, as root: attaches belay's sensor with content that
 * reports everything, and counts what it sees until it is told to stop.
 *
 *	sensor_record OBJECT FIFO DIR
 *
 * Each line that comes through FIFO ends a part: what was seen since the last
 * one goes to DIR/LINE, one line per kind and object ("open 12 /etc/passwd"),
 * and counting begins anew. OBJECT is the sensor of this folder, which also
 * tells of every file that was about to be executed; those that then were not
 * what ran are scripts ("script 3 /etc/init.d/x"). The line "end" ends it,
 * "fail" as well, with exit status 1. DIR/ready is there once the sensor is
 * attached. The last line on standard output tells how many events were lost,
 * which should be none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/kern/slots/kern_bpf.h"

#define SLOTS	 (1u << 16) /* a power of two; more than a boot's objects */
#define ROUND_NS 20000000   /* between looks into the ring */

static const char content_json[] =
	"{\"contract\":1,\"default\":{\"exec\":\"emit\",\"open\":\"emit\","
	"\"connect\":\"emit\"},\"rules\":[]}";

static struct entry {
	char *what; /* path or address; NULL: free */
	unsigned kind;
	unsigned long count;   /* of events as any sensor gives them */
	unsigned long checked; /* exec: how often it was about to be */
} entries[SLOTS];
static unsigned used, left_out;

static void die(const char *what, const struct bl_err *err)
{
	fprintf(stderr, "sensor_record: %s: %s\n", what,
		err ? err->text : strerror(errno));
	exit(1);
}

static struct entry *entry_of(unsigned kind, const char *what)
{
	uint32_t h = 2166136261u + kind;
	const char *c;

	for (c = what; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	for (;; h++) {
		struct entry *e = &entries[h & (SLOTS - 1)];

		if (!e->what) {
			if (++used > SLOTS / 2 || !(e->what = strdup(what)))
				die("too many objects", NULL);
			e->kind = kind;
		} else if (e->kind != kind || strcmp(e->what, what) != 0) {
			continue;
		}
		return e;
	}
}

/* No rule is applied to part of a path, and no line holds a newline. */
static int on_event(void *ctx, const struct bl_event *e, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	const unsigned char *c;

	(void)ctx;
	(void)len;
	if (e->tgid == (uint32_t)getpid())
		return 0;
	if (e->kind == BL_EVENT_CONNECT) {
		inet_ntop(e->addr.family, e->addr.addr, address,
			  sizeof(address));
		entry_of(e->kind, address)->count++;
		return 0;
	}
	for (c = (const unsigned char *)e->path.path; *c >= ' '; c++)
		;
	if (e->path.flags || *c)
		left_out++;
	else if (e->action == BL_ACTION_DENY)
		entry_of(e->kind, e->path.path)->checked++;
	else
		entry_of(e->kind, e->path.path)->count++;
	return 0;
}

static int by_kind_and_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (!x->what || !y->what)
		return !x->what - !y->what;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->what, y->what);
}

static void write_entry(FILE *f, const struct entry *e)
{
	if (e->count)
		fprintf(f, "%s %lu %s\n", bl_event_kind_name(e->kind), e->count,
			e->what);
	if (e->checked > e->count)
		fprintf(f, "script %lu %s\n", e->checked - e->count, e->what);
}

static void write_part(const char *dir, const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	FILE *f = path ? fopen(path, "we") : NULL;
	unsigned i;

	if (!f)
		die(name, NULL);
	qsort(entries, SLOTS, sizeof(*entries), by_kind_and_name);
	for (i = 0; i < used; i++) {
		write_entry(f, &entries[i]);
		free(entries[i].what);
	}
	if (fclose(f))
		die(name, NULL);
	printf("part %s: %u objects, %u events left out\n", name, used,
	       left_out);
	fflush(stdout);
	memset(entries, 0, sizeof(entries));
	used = left_out = 0;
}

static void start(struct bl_kern_bpf *kern, const char *object)
{
	bl_autobuf struct bl_buf file = { 0 }, bin = { 0 };
	struct bl_generation gen = { .name = "record", .number = 1 };
	struct bl_kern_staged staged;
	struct bl_err err = { 0 };

	if (bl_file_read(object, 64u << 20, &file, &err) ||
	    bl_content_compile("all", content_json, strlen(content_json), &bin,
			       NULL, &err))
		die("read", &err);
	gen.object = file.data;
	gen.object_len = file.len;
	gen.content = bin.data;
	gen.content_len = bin.len;
	if (bl_kern_bpf_ops.stage(kern, BL_SLOT_A, &gen, &staged, &err) ||
	    bl_kern_bpf_ops.attach(kern, BL_SLOT_A, &err))
		die("load", &err);
}

static void drain(struct bl_kern_bpf *kern)
{
	struct bl_err err = { 0 };

	if (bl_kern_bpf_ops.events(kern, BL_SLOT_A, 0, on_event, NULL, &err) <
	    0)
		die("events", &err);
}

/* Reads and counts until a line comes; the line without its end. */
static void wait_line(struct bl_kern_bpf *kern, int fifo, char *line,
		      size_t size)
{
	const struct timespec pause = { .tv_nsec = ROUND_NS };
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fifo, line + len, 1);

		if (n == 1 && line[len] == '\n')
			break;
		if (n == 1 && ++len < size)
			continue;
		if (n >= 0 || errno != EAGAIN)
			die("fifo", NULL);
		drain(kern);
		nanosleep(&pause, NULL);
	}
	line[len] = '\0';
	drain(kern);
}

int main(int argc, char **argv)
{
	struct bl_kern_bpf *kern = NULL;
	struct bl_kern_sample sample;
	struct bl_err err = { 0 };
	char line[64];
	int fifo;

	if (argc != 4)
		return 64;
	if (bl_kern_bpf_new("/sys/fs/bpf/record", &kern, &err))
		die("new", &err);
	/* Opened for both: no end of file when a writer goes. */
	fifo = open(argv[2], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fifo < 0)
		die(argv[2], NULL);
	/* Reads before the ring is full, whatever else runs. */
	setpriority(PRIO_PROCESS, 0, -20);
	start(kern, argv[1]);
	write_part(argv[3], "ready");
	for (;;) {
		wait_line(kern, fifo, line, sizeof(line));
		if (!strcmp(line, "end") || !strcmp(line, "fail"))
			break;
		if (!bl_name_valid(line))
			die("a part needs a name", NULL);
		write_part(argv[3], line);
	}
	if (bl_kern_bpf_ops.sample(kern, BL_SLOT_A, &sample, &err))
		die("sample", &err);
	printf("lost %llu of %llu events\n",
	       (unsigned long long)bl_kern_lost(&sample),
	       (unsigned long long)sample.seen);
	return !strcmp(line, "fail");
}
