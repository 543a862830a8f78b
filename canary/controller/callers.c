/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/callers.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Oldest first, in a ring through its head. */
struct bl_callers {
	pthread_mutex_t lock;
	struct bl_caller strangers, known; /* heads */
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
	}
	caller->due_ms = due_ms;
	pthread_mutex_unlock(&c->lock);
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
