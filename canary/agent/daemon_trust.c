/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata is kept fresh: a thread that asks for it in time (loader/trust/fresh.h),
 * and when an order was refused by what is here. It verifies; the talker brings
 * the files, and neither it nor the controller is believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "canary/agent/daemon_state.h"
#include "canary/agent/download.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"
#include "loader/trust/fresh.h"
#include "loader/trust/mirror.h"
#include "loader/trust/vouch.h"

/* Since Linux 6.3, where a sysctl may insist on it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* It looks at the clock and for a root as often: both may be set by hand. */
#define LOOK_MS 60000
/* Between two that were asked for. */
#define GAP_MS 1000
/* All files of one; a bundle may be in their way. */
#define REFRESH_MS (BL_MIRROR_ALL_MS + BL_DOWNLOAD_MS)
/* The same while an order waits for it. */
#define ASKED_MS 60000

/* What the thread knows from one refresh to the next. */
struct truster {
	struct daemon *d;
	bool asked; /* somebody waits for this one */
	uint64_t begun_ms, due_ms;
	int64_t due_wall_ms;
	char told[BL_ERR_TEXT_MAX]; /* the last failure; "" */
};

/* Waits for its turn, until @end_ms at most. */
static void wait_turn(struct daemon *d, uint64_t end_ms)
{
	uint64_t now = bl_clock_mono_ms();
	uint64_t ms = end_ms > now ? end_ms - now : 0;
	struct timespec until;

	if (ms > LOOK_MS)
		ms = LOOK_MS;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_clockwait(&d->trust.turn, &d->lock, CLOCK_MONOTONIC,
			       &until);
}

/* ---------------------------------------------------- a file, by the talker */

/* The same memory by another open file: what somebody sets on that (O_APPEND) is
 * his own, and no later talker has it. */
static int open_room(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

bool bl_daemon_want(struct daemon *d, struct bl_pair_msg *ret, int *ret_fd)
{
	struct daemon_trust *t = &d->trust;
	bool wanted;
	int fd = -1;

	bl_pair_begin(ret, BL_PAIR_WANT);
	pthread_mutex_lock(&d->lock);
	wanted = t->wanted && !t->sent && !t->over;
	if (wanted) {
		fd = open_room(t->fd);
		t->sent = fd >= 0;
		ret->want.number = t->number;
		ret->want.max = t->max;
		memcpy(ret->want.name, t->name, sizeof(t->name));
	}
	pthread_mutex_unlock(&d->lock);
	if (wanted && fd < 0)
		bl_daemon_want_over(d, "no room for it can be opened");
	if (fd < 0)
		return false;
	*ret_fd = fd;
	return true;
}

void bl_daemon_got(struct daemon *d, const struct bl_pair_got *got)
{
	struct daemon_trust *t = &d->trust;

	pthread_mutex_lock(&d->lock);
	if (t->wanted && t->sent && !t->over && t->number == got->number) {
		t->over = true;
		t->result = *got;
		pthread_cond_signal(&t->turn);
	}
	pthread_mutex_unlock(&d->lock);
}

void bl_daemon_want_over(struct daemon *d, const char *why)
{
	struct bl_pair_got none = { .result = -EPIPE };

	bl_pair_text(none.why, sizeof(none.why), why);
	pthread_mutex_lock(&d->lock);
	if (d->trust.wanted && !d->trust.over) {
		d->trust.over = true;
		d->trust.result = none;
		pthread_cond_signal(&d->trust.turn);
	}
	pthread_mutex_unlock(&d->lock);
}

/*
 * One file for all that the talker ever writes of metadata: as large as the
 * largest of them, and what would make it larger is refused by the kernel.
 */
static int make_room(struct daemon *d, struct bl_err *err)
{
	bl_autoclose int fd = -1;

	if (d->trust.fd >= 0)
		return 0;
	fd = memfd_create("metadata",
			  MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("metadata", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, BL_META_TARGETS_MAX) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) <
		    0)
		return bl_err_errno(err, -errno,
				    "cannot make room for metadata");
	d->trust.fd = BL_TAKE_FD(fd);
	return 0;
}

/* What the talker says of why: some of it this side could not know, and in
 * which of these ways it lies is all the same. */
static int fail(const struct bl_pair_got *got, const char *name,
		struct bl_err *err)
{
	int r = got->result;

	if (r != -ENOENT && r != BL_TRUST_ENDLESS && r != BL_TRUST_SLOW)
		r = -EREMOTEIO;
	bl_err_set(err, r, "%s: %s", name,
		   *got->why ? got->why : "it was not fetched");
	if (*got->hint)
		bl_err_hint(err, "%s", got->hint);
	return r;
}

/* Asks for it and waits for the answer. */
static int ask(struct truster *r, const char *name, size_t max,
	       struct bl_pair_got *ret, struct bl_err *err)
{
	struct daemon *d = r->d;
	struct daemon_trust *t = &d->trust;
	bool over, quit;

	pthread_mutex_lock(&d->lock);
	t->number++;
	t->wanted = true;
	t->sent = t->over = false;
	t->max = max;
	memset(t->name, 0, sizeof(t->name));
	bl_text_copy(t->name, sizeof(t->name), name);
	pthread_mutex_unlock(&d->lock);
	bl_daemon_wake(d);
	pthread_mutex_lock(&d->lock);
	while (!t->over && !d->quit) {
		uint64_t end = r->begun_ms +
			       (r->asked || t->asked ? ASKED_MS : REFRESH_MS);

		if (bl_clock_mono_ms() >= end)
			break;
		wait_turn(d, end);
	}
	over = t->over;
	quit = d->quit;
	*ret = t->result;
	t->wanted = false;
	pthread_mutex_unlock(&d->lock);
	/* That the talker ends with it is no answer of a controller's. */
	if (quit)
		return bl_err_set(err, -ECANCELED, "%s: the agent ends", name);
	return over ? 0
		    : bl_err_set(err, BL_TRUST_SLOW,
				 "%s: it did not come in time", name);
}

/* What a talker still writes to it later is no part of what is read here. */
static int read_back(int fd, size_t len, struct bl_buf *ret, struct bl_err *err)
{
	ssize_t n;

	if (bl_buf_reserve(ret, len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	n = pread(fd, ret->data + ret->len, len, 0);
	if (n != (ssize_t)len)
		return bl_err_errno(err, n < 0 ? -errno : -EIO,
				    "cannot read what was fetched");
	ret->len += len;
	ret->data[ret->len] = '\0';
	return 0;
}

/* As struct bl_tuf_fetcher wants it. */
static int fetch(void *ctx, const char *name, size_t max_bytes,
		 struct bl_buf *ret, struct bl_err *err)
{
	static const char below[] = "metadata/";
	struct truster *r = ctx;
	struct bl_pair_got got;
	int e;

	if (strncmp(name, below, sizeof(below) - 1) != 0 ||
	    !bl_name_valid(name + sizeof(below) - 1) ||
	    max_bytes > BL_META_TARGETS_MAX)
		return bl_err_set(err, -EINVAL, "%s: not asked for", name);
	name += sizeof(below) - 1;
	e = ask(r, name, max_bytes, &got, err);
	if (e < 0)
		return e;
	if (got.result < 0)
		return fail(&got, name, err);
	if (got.length > max_bytes)
		return bl_err_set(err, BL_TRUST_ENDLESS,
				  "%s: more than %zu bytes came", name,
				  max_bytes);
	return read_back(r->d->trust.fd, got.length, ret, err);
}

/* ----------------------------------------------------------------- a refresh */

static int refresh(struct truster *r, struct bl_fresh *ret, struct bl_err *err)
{
	const struct bl_tuf_fetcher f = { fetch, r };
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	uint32_t random = bl_daemon_random();
	int e = bl_tuf_open(r->d->trust_dir, &tuf, err);

	if (!e)
		e = make_room(r->d, err);
	return e ? e
		 : bl_fresh_refresh(&tuf, &f, bl_clock_wall_ms(), &random, ret,
				    err);
}

/* Said once; this host keeps what it runs and what it trusts (I9). */
static void tell(struct truster *r, int e, const struct bl_err *why)
{
	if (e < 0 && strcmp(r->told, why->text) != 0)
		bl_daemon_note(r->d, "metadata is not refreshed: %s%s%s",
			       why->text, *why->hint ? "; " : "", why->hint);
	else if (!e && *r->told)
		bl_daemon_note(r->d, "metadata is refreshed again");
	bl_text_copy(r->told, sizeof(r->told), e < 0 ? why->text : "");
}

static void due_in(struct truster *r, int64_t ms)
{
	r->due_ms = bl_clock_mono_ms() + (uint64_t)ms;
	r->due_wall_ms = bl_clock_wall_ms() + ms;
}

static void work_once(struct truster *r)
{
	struct daemon_trust *t = &r->d->trust;
	struct bl_err e = { 0 };
	struct bl_fresh f = { .failures = 0 };
	int64_t ms = LOOK_MS;
	int wanted = bl_vouch_wanted(r->d->trust_dir, &e), code = wanted;
	bool quit;

	r->begun_ms = bl_clock_mono_ms();
	if (wanted > 0) {
		code = refresh(r, &f, &e);
		ms = f.next_ms ? f.next_ms - bl_clock_wall_ms()
			       : BL_FRESH_RETRY_MS;
	}
	due_in(r, ms > 0 ? ms : 0);
	pthread_mutex_lock(&r->d->lock);
	quit = r->d->quit;
	t->runs = false;
	t->ended++;
	t->ended_ms = bl_clock_mono_ms();
	t->unheard = code < 0 && !bl_trust_fault_name(code);
	pthread_cond_signal(&r->d->work);
	pthread_mutex_unlock(&r->d->lock);
	/* An order may wait for it. */
	bl_daemon_wake(r->d);
	if (!quit)
		tell(r, code < 0 ? code : 0, &e);
}

/* Until the next one is due; false: the agent ends. */
static bool wait_until_due(struct truster *r)
{
	struct daemon *d = r->d;
	struct daemon_trust *t = &d->trust;
	bool quit;

	pthread_mutex_lock(&d->lock);
	while (!d->quit) {
		uint64_t due = r->due_ms, now = bl_clock_mono_ms();
		uint64_t soon = t->ended ? t->ended_ms + GAP_MS : 0;

		if (t->asked && soon < due)
			due = soon;
		/* The wall clock may have been set, forwards. */
		if (now >= due || bl_clock_wall_ms() >= r->due_wall_ms)
			break;
		wait_turn(d, due);
	}
	r->asked = t->asked;
	t->asked = false;
	t->runs = true;
	quit = d->quit;
	pthread_mutex_unlock(&d->lock);
	return !quit;
}

void *bl_daemon_truster(void *ctx)
{
	struct truster r = { .d = ctx };
	struct bl_fresh f = { .failures = 0 };
	int64_t ms = 0;

	/* As the last life left it; what failed then may be well now. */
	if (bl_fresh_read(r.d->trust_dir, &f, NULL) == 0) {
		f.failures = 0;
		ms = bl_fresh_wait_ms(&f, bl_clock_wall_ms(),
				      bl_daemon_random());
	}
	due_in(&r, ms);
	while (wait_until_due(&r))
		work_once(&r);
	return NULL;
}

/* ---------------------------------------------------------------- who waits */

uint64_t bl_daemon_refresh_ask(struct daemon *d)
{
	uint64_t which;

	pthread_mutex_lock(&d->lock);
	/* One under way may have begun before what was ordered was released. */
	which = d->trust.ended + (d->trust.runs ? 2 : 1);
	d->trust.asked = true;
	pthread_cond_signal(&d->trust.turn);
	pthread_mutex_unlock(&d->lock);
	return which;
}

int bl_daemon_refresh_ended(struct daemon *d, uint64_t which)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	if (d->trust.ended >= which)
		r = d->trust.unheard ? -EAGAIN : 1;
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* One refresh, or the worker is to leave what it does; as above. */
static int wait_for_one(struct daemon *d)
{
	uint64_t which = bl_daemon_refresh_ask(d);
	bool leaves;

	pthread_mutex_lock(&d->lock);
	while (d->trust.ended < which && !d->quit && !d->agent.stop_trial)
		bl_daemon_nap(d);
	leaves = d->quit || d->agent.stop_trial;
	pthread_mutex_unlock(&d->lock);
	return leaves ? 1 : bl_daemon_refresh_ended(d, which);
}

void bl_daemon_freshen(struct daemon *d, const char *digest, size_t len)
{
	int r = -EAGAIN;

	if (bl_vouch_wanted(d->trust_dir, NULL) <= 0 ||
	    bl_vouch_listed(d->trust_dir, digest, len,
			    bl_clock_wall_ms() / 1000, NULL) == 0)
		return;
	for (int i = 0; r < 0 && i < BL_DAEMON_TRIES; i++)
		r = wait_for_one(d);
}
