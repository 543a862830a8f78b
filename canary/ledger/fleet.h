/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rollout and the fleet around it, as the store has them: what the
 * decision is made from and what people are shown.
 *
 *	bl_autofleet struct bl_fleet f = { 0 };
 *	r = bl_fleet_load(store, "r1", now_ms, &f, err);
 *	bl_decide(&f.view, &decision);
 *
 * The rollout is read first: a transaction that expects rollout_revision
 * fails if any exposure changed since, whatever was read after it.
 */
#ifndef BL_CANARY_FLEET_H
#define BL_CANARY_FLEET_H

#include "canary/ledger/heard.h"
#include "canary/ledger/record.h"
#include "canary/ledger/strata.h"

/* The sums that the view shows, those of the rollout's record first. */
struct bl_tallies {
	struct bl_tally sums[BL_STRATA_MAX];
	uint64_t keys[BL_STRATA_MAX];
	char names[BL_STRATA_MAX][BL_STRATUM_LEN];
	size_t count;
};

struct bl_fleet {
	struct bl_rollout rollout;
	int64_t rollout_revision;
	struct bl_exposure *exposures;
	int64_t *exposure_revisions;
	size_t exposure_count;
	struct bl_fleet_host *hosts; /* all known ones, by name */
	int64_t *host_revisions;
	size_t host_count;
	struct bl_heard heard; /* the hosts' heard_ms is the later one already */
	int64_t exposures_newest, hosts_newest; /* revisions that were read */
	struct bl_listening listening;
	struct bl_view_host *view_hosts;
	struct bl_tallies *tallies;
	struct bl_view view; /* borrows from the above */
};
#define bl_autofleet __attribute__((cleanup(bl_fleet_free)))
void bl_fleet_free(struct bl_fleet *f);

/* As bl_store_get of prefix + name, but a missing key is success with an item
 * of revision 0. */
int bl_fleet_get(struct bl_store *store, struct bl_store_item *ret,
		 struct bl_err *err, const char *prefix, const char *name);

/* The ID of the rollout that holds the fleet; "" if there is none. */
int bl_fleet_active(struct bl_store *store,
		    char ret_id[static BL_ROLLOUT_ID_LEN], struct bl_err *err);

/* -ENOENT: no such rollout. */
int bl_fleet_rollout(struct bl_store *store, const char *id,
		     struct bl_rollout *ret, int64_t *ret_revision,
		     struct bl_err *err);

/* Fills *ret, which must stay where it is: the view borrows from it. -ENOENT:
 * no such rollout. */
int bl_fleet_load(struct bl_store *store, const char *id, int64_t now_ms,
		  struct bl_fleet *ret, struct bl_err *err);

/* The view as far as the rollout's record alone gives it: no hosts, and @ret_sum
 * for those that were exposed. It borrows from both. */
void bl_rollout_view(const struct bl_rollout *r, int64_t now_ms,
		     struct bl_tally *ret_sum, struct bl_view *ret);

/*
 * The same, but of what @f has of that rollout only what changed is read: for
 * whoever looks twice a second. Zero-initialise it. What its owner changed in an
 * exposure is to be in the store, or undone.
 */
int bl_fleet_refresh(struct bl_store *store, const char *id, int64_t now_ms,
		     struct bl_fleet *f, struct bl_err *err);

/* The parts of that: all hosts and no rollout; and the view of what is there. */
int bl_fleet_load_hosts(struct bl_store *store, int64_t now_ms,
			struct bl_fleet *f, struct bl_err *err);
int bl_fleet_view(struct bl_fleet *f, int64_t now_ms, struct bl_err *err);

/* Where @h counts; made if it is missing. */
struct bl_tally *bl_tallies_of(struct bl_tallies *t, const struct bl_plan *plan,
			       const struct bl_fleet_host *h);

/* The host of that name, NULL if it is not known; likewise its exposure. */
const struct bl_fleet_host *bl_fleet_host_find(const struct bl_fleet *f,
					       const char *name,
					       int64_t *ret_revision);
struct bl_exposure *bl_fleet_exposure_find(const struct bl_fleet *f,
					   const char *name);

/* What GET /v1/rollouts/ID answers, with the hosts or as a summary; NULL: out
 * of memory. */
json_t *bl_fleet_json(const struct bl_fleet *f);
json_t *bl_rollout_summary_json(const struct bl_rollout *r);

/* What GET /v1/rollouts/ID/decisions answers: the plan, and explain.h. */
int bl_fleet_decisions_json(struct bl_store *store, const char *id,
			    json_t **ret, struct bl_err *err);

/* What GET /v1/hosts answers. */
int bl_fleet_hosts_json(struct bl_store *store, int64_t now_ms, json_t **ret,
			struct bl_err *err);
/* What GET /v1/rollouts answers: the newest first, at most BL_LIST_MAX. */
#define BL_LIST_MAX 100
int bl_fleet_rollouts_json(struct bl_store *store, json_t **ret,
			   struct bl_err *err);

#endif
