/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "canary/controller/controller.h"
#include "tests/support/sim_own.h"

/*
 * The store with accidents. A process that dies before the transaction has
 * done nothing; one that dies after it has done it and nobody was told.
 */
struct wild_store {
	struct bl_store head;
	struct sim *sim;
};

static int wild_get(struct bl_store *head, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	return bl_store_get(((struct wild_store *)head)->sim->store_under, key,
			    ret, err);
}

static int wild_list(struct bl_store *head, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	return bl_store_changed(((struct wild_store *)head)->sim->store_under,
				prefix, since, ret, err);
}

static int wild_count(struct bl_store *head, const char *prefix, size_t *ret,
		      struct bl_err *err)
{
	return bl_store_count(((struct wild_store *)head)->sim->store_under,
			      prefix, ret, err);
}

static int die(struct sim *s, struct bl_err *err)
{
	s->killed = true;
	return bl_err_set(err, -EIO, "the controller was killed");
}

static int wild_txn(struct bl_store *head,
		    const struct bl_store_compare *compares,
		    size_t compare_count, const struct bl_store_put *puts,
		    size_t put_count, int64_t *ret_revision, struct bl_err *err)
{
	struct wild_store *w = (struct wild_store *)head;
	struct sim *s = w->sim;
	int r;

	if (sim_chance(s, s->chaos.store_dies_before))
		return die(s, err);
	if (!s->inside && sim_chance(s, s->chaos.other_controller)) {
		/* Another controller, between our reading and our writing. */
		s->inside = true;
		s->interrupted++;
		if (sim_chance(s, 300))
			bl_controller_tick(s->store, s->now_ms, NULL);
		else
			for (unsigned i = 0; i < s->host_count; i++)
				sim_poll_host(s, &s->hosts[i]);
		s->inside = s->killed = false;
	}
	r = bl_store_txn_at(s->store_under, compares, compare_count, puts,
			    put_count, ret_revision, err);
	return !r && sim_chance(s, s->chaos.store_dies_after) ? die(s, err) : r;
}

static int wild_revision(struct bl_store *head, int64_t *ret,
			 struct bl_err *err)
{
	return bl_store_revision(((struct wild_store *)head)->sim->store_under,
				 ret, err);
}

static void wild_close(struct bl_store *head)
{
	free(head);
}

static const struct bl_store_ops wild_ops = {
	.get = wild_get,
	.list = wild_list,
	.count = wild_count,
	.txn = wild_txn,
	.revision = wild_revision,
	.close = wild_close,
};

struct bl_store *sim_wild_store(struct sim *s)
{
	struct wild_store *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->head.ops = &wild_ops;
	w->sim = s;
	return &w->head;
}
