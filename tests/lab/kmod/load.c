/* SPDX-License-Identifier: Apache-2.0 */
/* Swaps, disarms and unloads while others are in the hooks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/kmod/twins.h"

#define SWAPS	 10 /* in a round */
#define WORKERS	 3
#define FILLER	 500
#define MIX_PATH "/mix/file"

/* Shared with the processes that are the load. */
static struct {
	atomic_bool stop;
	atomic_ulong opened;
} * load;

static void work(void)
{
	while (!load->stop) {
		int fd = open(MIX_PATH, O_RDONLY);

		MUST(fd >= 0);
		close(fd);
		load->opened++;
	}
	_exit(0);
}

static void load_start(pid_t workers[static WORKERS])
{
	load->stop = false;
	load->opened = 0;
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		MUST(workers[i] >= 0);
		if (!workers[i])
			work();
	}
}

static void load_end(const pid_t workers[static WORKERS])
{
	int status;

	load->stop = true;
	for (int i = 0; i < WORKERS; i++) {
		MUST(waitpid(workers[i], &status, 0) == workers[i]);
		CHECK(!status);
	}
}

/* Until the load has opened @count more. */
static void load_wait(unsigned long count)
{
	unsigned long until = load->opened + count;

	while (load->opened < until)
		usleep(200);
}

/* MIX_PATH is the first rule, or the last behind FILLER others, in a table of
 * another size. */
static struct bl_buf content_of(bool full)
{
	bl_autobuf struct bl_buf json = { 0 };

	MUST(!bl_buf_printf(&json, "{ \"contract\": 1, \"rules\": [\n"));
	for (int i = 0; full && i < FILLER; i++)
		MUST(!bl_buf_printf(
			&json,
			"{ \"event\": \"open\", \"path\": \"/filler/%d\", \"action\": \"emit\" },\n",
			i));
	MUST(!bl_buf_printf(
		&json,
		"{ \"event\": \"open\", \"path\": \"%s\", \"action\": \"emit\" } ] }\n",
		MIX_PATH));
	return compiled(bl_buf_str(&json));
}

struct tally {
	unsigned long first, last, other;
};

static int tally(void *ctx, const struct bl_event *e, size_t len)
{
	struct tally *t = ctx;

	(void)len;
	if (strcmp(e->path.path, MIX_PATH) == 0 && e->rule == 0)
		t->first++;
	else if (strcmp(e->path.path, MIX_PATH) == 0 && e->rule == FILLER)
		t->last++;
	else
		t->other++;
	return 0;
}

static void read_up(struct bl_kmod_reader *r, struct tally *t)
{
	struct bl_err err = { 0 };
	int n;

	do
		n = bl_kmod_reader_events(r, 0, tally, t, &err);
	while (n > 0);
	if (n < 0)
		fail("%s", err.text);
}

/* Every open is an event, of the old content or of the new. */
static void swap(const char *ko, unsigned rounds)
{
	bl_autobuf struct bl_buf a = content_of(false), b = content_of(true);
	struct bl_kmod_reader *reader = NULL;
	struct bl_stats stats;
	struct bl_err err = { 0 };
	pid_t workers[WORKERS];
	struct tally t = { 0 };

	if (bl_kmod_load(ko, "ring_kib=16384", &err) ||
	    bl_kmod_content(a.data, a.len, &err) ||
	    bl_kmod_reader_open(&reader, &err))
		die("%s", err.text);
	load_start(workers);
	for (unsigned i = 0; i < rounds * SWAPS; i++) {
		const struct bl_buf *next = i % 2 ? &a : &b;

		load_wait(20);
		if (bl_kmod_content(next->data, next->len, &err))
			die("%s", err.text);
		read_up(reader, &t);
	}
	load_end(workers);
	read_up(reader, &t);
	MUST(!bl_kmod_stats(&stats, &err));
	printf("swap: %lu opens, %lu by the one content, %lu by the other\n",
	       (unsigned long)load->opened, t.first, t.last);
	CHECK(t.first && t.last && !t.other);
	CHECK(!stats.dropped && !stats.torn);
	if (t.first + t.last != load->opened)
		fail("%lu opens, and %lu events", (unsigned long)load->opened,
		     t.first + t.last);
	bl_kmod_reader_close(reader);
	if (bl_kmod_unload(&err))
		die("%s", err.text);
}

/* Out under load, with a reader: quiet at once; unloaded when it is gone. */
static void unload(const char *ko, unsigned rounds)
{
	bl_autobuf struct bl_buf a = content_of(false);
	struct bl_kmod_reader *reader = NULL;
	struct bl_stats before, after;
	struct bl_err err = { 0 };
	pid_t workers[WORKERS];
	struct tally t = { 0 };

	load_start(workers);
	for (unsigned i = 0; i < rounds; i++) {
		if (bl_kmod_load(ko, i % 2 ? "deny=1" : "", &err) ||
		    bl_kmod_content(a.data, a.len, &err) ||
		    bl_kmod_reader_open(&reader, &err))
			die("%s", err.text);
		load_wait(50);
		CHECK(bl_kmod_unload(&err) == -EBUSY);
		MUST(!bl_kmod_arm(false, &err));
		MUST(!bl_kmod_stats(&before, &err));
		CHECK(before.emitted > 0);
		load_wait(50);
		MUST(!bl_kmod_stats(&after, &err));
		CHECK(after.seen == before.seen);
		t = (struct tally){ 0 };
		read_up(reader, &t);
		CHECK(t.first == after.emitted);
		MUST(!bl_kmod_arm(true, &err));
		load_wait(20);
		bl_kmod_reader_close(reader);
		if (bl_kmod_unload(&err)) /* armed, and under load */
			die("%s", err.text);
		load_wait(20);
	}
	load_end(workers);
}

/* Denied in a loop, so that some task is always in the way out. */
static void deny_worker(void)
{
	while (!load->stop) {
		int fd = open(MIX_PATH, O_RDONLY);

		CHECK(fd >= 0 || errno == EPERM);
		if (fd >= 0)
			close(fd);
		load->opened += fd < 0;
	}
	_exit(failures != 0);
}

static void unload_denying(const char *ko, unsigned rounds)
{
	bl_autobuf struct bl_buf bin = compiled(
		"{ \"contract\": 1, \"rules\": [ { \"event\": \"open\","
		" \"path\": \"" MIX_PATH "\", \"action\": \"deny\" } ] }");
	struct bl_err err = { 0 };
	pid_t worker;
	int status;

	load->stop = false;
	load->opened = 0;
	worker = fork();
	MUST(worker >= 0);
	if (!worker)
		deny_worker();
	for (unsigned i = 0; i < rounds; i++) {
		if (bl_kmod_load(ko, "", &err))
			die("%s", err.text);
		CHECK(bl_kmod_content(bin.data, bin.len, &err) == -EOPNOTSUPP);
		if (bl_kmod_unload(&err) || bl_kmod_load(ko, "deny=1", &err) ||
		    bl_kmod_content(bin.data, bin.len, &err))
			die("%s", err.text);
		load_wait(50);
		if (bl_kmod_unload(&err))
			die("%s", err.text);
	}
	load->stop = true;
	MUST(waitpid(worker, &status, 0) == worker);
	CHECK(!status);
}

int load_mode(const char *ko, unsigned rounds)
{
	load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(load != MAP_FAILED);
	MUST(!mkdir("/mix", 0755));
	close(open(MIX_PATH, O_WRONLY | O_CREAT, 0644));
	swap(ko, rounds);
	unload(ko, rounds);
	unload_denying(ko, rounds);
	return 0;
}

int cycle_mode(const char *ko, unsigned rounds)
{
	bl_autobuf struct bl_buf bin = content_of(true);
	struct bl_err err = { 0 };

	for (unsigned i = 0; i < rounds; i++)
		if (bl_kmod_load(ko, i % 2 ? "deny=1" : "", &err) ||
		    bl_kmod_content(bin.data, bin.len, &err) ||
		    bl_kmod_unload(&err))
			die("round %u: %s", i, err.text);
	printf("%u rounds of load and unload\n", rounds);
	return 0;
}
