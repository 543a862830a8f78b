/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/callers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Oldest first, in a ring through its head. */
struct bl_callers {
	pthread_mutex_t lock;
	struct bl_caller strangers, known;	    /* heads */
	struct bl_caller *same[BL_CALLERS_BUCKETS]; /* the newest first */
	unsigned count, places;
};

static void unlink_it(struct bl_caller *caller)
{
	caller->prev->next = caller->next;
	caller->next->prev = caller->prev;
}

static void append(struct bl_caller *head, struct bl_caller *caller)
{
	caller->next = head;
	caller->prev = head->prev;
	head->prev->next = caller;
	head->prev = caller;
}

struct bl_callers *bl_callers_new(unsigned places)
{
	struct bl_callers *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->strangers.next = c->strangers.prev = &c->strangers;
	c->known.next = c->known.prev = &c->known;
	c->places = places;
	return c;
}

void bl_callers_free(struct bl_callers *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void cut(struct bl_caller *caller)
{
	caller->cut = true;
	shutdown(caller->fd, SHUT_RDWR);
}

/* Cut ones are still there until the server reads their end. */
static void make_room(struct bl_callers *c)
{
	struct bl_caller *i = c->strangers.next;

	if (c->count + c->places / BL_CALLERS_SPARE < c->places)
		return;
	while (i != &c->strangers && i->cut)
		i = i->next;
	if (i != &c->strangers)
		cut(i);
}

static struct bl_caller **bucket_of(struct bl_callers *c,
				    const struct bl_peer *peer)
{
	uint32_t h = 2166136261u + (uint32_t)peer->role; /* FNV-1a */
	const char *s;

	for (s = peer->name; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return &c->same[h % BL_CALLERS_BUCKETS];
}

static bool is_same(const struct bl_caller *a, const struct bl_caller *b)
{
	return a->peer.role == b->peer.role &&
	       strcmp(a->peer.name, b->peer.name) == 0;
}

/* It has shown who it is: one more of that name. */
static void join(struct bl_callers *c, struct bl_caller *caller)
{
	struct bl_caller **bucket = bucket_of(c, &caller->peer), *i, *oldest;
	unsigned count = 0;

	if (caller->peer.role == BL_ROLE_LOCAL)
		return;
	for (i = oldest = *bucket; i; i = i->same_next) {
		if (i->cut || !is_same(i, caller))
			continue;
		oldest = i;
		count++;
	}
	if (count >= BL_CALLERS_OF_A_NAME)
		cut(oldest);
	caller->same_next = *bucket;
	if (*bucket)
		(*bucket)->same_prev = caller;
	*bucket = caller;
	caller->bucket = bucket;
}

static void leave(struct bl_caller *caller)
{
	if (!caller->bucket)
		return;
	*(caller->same_prev ? &caller->same_prev->same_next : caller->bucket) =
		caller->same_next;
	if (caller->same_next)
		caller->same_next->same_prev = caller->same_prev;
	caller->same_next = caller->same_prev = NULL;
	caller->bucket = NULL;
}

struct bl_caller *bl_callers_add(struct bl_callers *c, int fd, uint64_t due_ms)
{
	struct bl_caller *caller = calloc(1, sizeof(*caller));

	if (!caller)
		return NULL;
	caller->fd = fd;
	caller->due_ms = due_ms;
	caller->stranger = true;
	pthread_mutex_lock(&c->lock);
	make_room(c);
	append(&c->strangers, caller);
	c->count++;
	pthread_mutex_unlock(&c->lock);
	return caller;
}

void bl_callers_remove(struct bl_callers *c, struct bl_caller *caller)
{
	if (!caller)
		return;
	pthread_mutex_lock(&c->lock);
	unlink_it(caller);
	leave(caller);
	c->count--;
	pthread_mutex_unlock(&c->lock);
	free(caller);
}

void bl_callers_due(struct bl_callers *c, struct bl_caller *caller,
		    uint64_t due_ms)
{
	bool stranger = caller->peer.role != BL_ROLE_LOCAL &&
			!bl_peer_is_certified(&caller->peer);

	pthread_mutex_lock(&c->lock);
	if (caller->stranger != stranger) {
		unlink_it(caller);
		append(stranger ? &c->strangers : &c->known, caller);
		caller->stranger = stranger;
		leave(caller);
		if (!stranger)
			join(c, caller);
	}
	caller->due_ms = due_ms;
	caller->file = false;
	pthread_mutex_unlock(&c->lock);
}

bool bl_callers_file(struct bl_callers *c, struct bl_caller *caller)
{
	const struct bl_caller *i;
	unsigned count = 0;

	pthread_mutex_lock(&c->lock);
	for (i = caller->bucket ? *caller->bucket : NULL; i; i = i->same_next)
		count += i != caller && i->file && is_same(i, caller);
	caller->file = count < BL_CALLERS_FILES_OF_A_NAME;
	pthread_mutex_unlock(&c->lock);
	return count < BL_CALLERS_FILES_OF_A_NAME;
}

static unsigned cut_due(struct bl_caller *head, uint64_t now_ms)
{
	struct bl_caller *i;
	unsigned count = 0;

	for (i = head->next; i != head; i = i->next) {
		if (i->cut || now_ms < i->due_ms)
			continue;
		cut(i);
		count++;
	}
	return count;
}

unsigned bl_callers_cut(struct bl_callers *c, uint64_t now_ms)
{
	unsigned count;

	pthread_mutex_lock(&c->lock);
	count = cut_due(&c->strangers, now_ms) + cut_due(&c->known, now_ms);
	pthread_mutex_unlock(&c->lock);
	return count;
}
