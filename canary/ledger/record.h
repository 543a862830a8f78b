/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store holds, and its JSON:
 *
 *	rollout/ID		struct bl_rollout
 *	exposure/ID/HOST	struct bl_exposure, only for exposed hosts
 *	decision/ID/NUMBER	why (explain.h)
 *	host/NAME		struct bl_fleet_host
 *	heard/NN		when hosts were heard last (heard.h)
 *	bundle/DIGEST		struct bl_stored_bundle
 *	blob/DIGEST		the bundle's bytes
 *	tombstone/DIGEST	struct bl_tombstone: why it is not tried again
 *	token/DIGEST		struct bl_token; the digest is its secret's
 *	revoked/ROLE/NAME	struct bl_revoked
 *	fleet/active		the ID of the rollout that is not over
 *	fleet/last		the number of the newest rollout
 *	fleet/listening		struct bl_listening
 *	fleet/decider		struct bl_decider
 *
 * Times are wall clock in ms: they outlive processes and boots, and are shared
 * between controllers.
 */
#ifndef BL_CANARY_RECORD_H
#define BL_CANARY_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "canary/decide/decision.h"
#include "canary/decide/plan.h"
#include "canary/store/store.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"

#define BL_ROLLOUT_ID_LEN 24 /* "r123" */
#define BL_BOOT_LEN	  64
#define BL_SESSION_LEN	  33
#define BL_SESSIONS_KEPT  8
#define BL_FACT_LEN	  128
#define BL_SAMPLE_MAX	  8 /* events a host shows */
#define BL_SAMPLE_LEN	  200
#define BL_LABELS_MAX	  8
#define BL_LABEL_LEN	  64  /* "KEY=VALUE" */
#define BL_STRATA_MAX	  100 /* with sums of their own (strata.h) */
#define BL_STRATUM_KEY	  17  /* sixteen hex digits */

/* The sums of a stratum's exposed hosts; undecided ones are in none. */
struct bl_stratum {
	uint64_t key;
	unsigned exposed, good, bad;
};

/* A host's guard metrics (gauge.h). */
struct bl_metrics {
	double value[BL_GUARD_METRICS];
	unsigned known; /* a bit for each metric */
};

struct bl_rollout {
	char id[BL_ROLLOUT_ID_LEN];
	char digest[BL_DIGEST_HEX];
	char name[BL_NAME_MAX + 1], version[BL_NAME_MAX + 1];
	struct bl_plan plan;
	enum bl_rollout_state state;
	char reason[BL_REASON_MAX]; /* of the end; "" before */
	char override_reason[BL_REASON_MAX];
	unsigned wave, target;
	unsigned exposed;     /* in all */
	unsigned unconfirmed; /* of these, under the cap (I7) */
	unsigned widened;     /* as in bl_view */
	unsigned approved;
	unsigned decisions;	  /* how many are stored */
	unsigned undecided, held; /* as in bl_view */
	int64_t paused_ms;	  /* since when it is; 0: it is not */
	char paused_by[BL_NAME_MAX + 1], paused_reason[BL_REASON_MAX];
	struct bl_stratum strata[BL_STRATA_MAX];
	unsigned stratum_count;
	struct bl_pairs pairs[BL_GUARD_METRICS];      /* so far (pairs.h) */
	int64_t start_ms, stop_ms, commit_ms, end_ms; /* 0: not yet */
};

struct bl_exposure {
	char host[BL_NAME_MAX + 1];
	enum bl_exposure_state state;
	bool counted; /* in the rollout's unconfirmed */
	/* SILENT, STUCK: heard of again since, it keeps the version. */
	bool again;
	unsigned wave;
	char stratum[BL_STRATUM_KEY];
	char boot[BL_BOOT_LEN]; /* in which it was exposed */
	char previous[BL_DIGEST_HEX];
	char reason[BL_REASON_MAX];
	int64_t exposed_ms, changed_ms;
	char other[BL_NAME_MAX + 1]; /* it was compared with; "": not yet */
	/* In each metric: w(orse), n(ot) or -, as far as both were measured. */
	char worse[BL_GUARD_METRICS + 1];
};

struct bl_fleet_host {
	char name[BL_NAME_MAX + 1];
	char kernel[BL_FACT_LEN], arch[BL_FACT_LEN], os[BL_FACT_LEN];
	char role[BL_FACT_LEN]; /* "": none */
	char labels[BL_LABELS_MAX][BL_LABEL_LEN];
	unsigned label_count;
	char boot[BL_BOOT_LEN];
	char live[BL_DIGEST_HEX];	 /* "": nothing */
	char rollout[BL_ROLLOUT_ID_LEN]; /* that exposed it last; "" */
	char doing[BL_REASON_MAX];	 /* what it says it does; "" */
	/* Sessions of its agent, the current one first. */
	char sessions[BL_SESSIONS_KEPT][BL_SESSION_LEN];
	int64_t seq; /* of the newest poll that was written down */
	int64_t first_ms, heard_ms;
	int64_t events, drops;
	struct bl_metrics metrics;
	char sample[BL_SAMPLE_MAX][BL_SAMPLE_LEN]; /* newest last */
	unsigned sample_count;
};

struct bl_stored_bundle {
	char digest[BL_DIGEST_HEX];
	char name[BL_NAME_MAX + 1], version[BL_NAME_MAX + 1];
	int64_t size, stored_ms;
};

struct bl_tombstone {
	char rollout[BL_ROLLOUT_ID_LEN];
	char reason[BL_REASON_MAX];
	int64_t at_ms;
};

/* Lets one host enroll, once (enroll.h). */
struct bl_token {
	char host[BL_NAME_MAX + 1];
	int64_t until_ms;
};

/* Certificates of a name that were taken back: those of a generation before
 * this one (controller/revoke.h). */
struct bl_revoked {
	unsigned generation;
	char by[BL_NAME_MAX + 1], reason[BL_REASON_MAX];
	int64_t at_ms;
};

/* The controller whose turn it is to decide (decider.h). */
struct bl_decider {
	char who[BL_SESSION_LEN];
	int64_t until_ms;
};

/* Since when controllers have been listening without a gap. */
struct bl_listening {
	int64_t since_ms, last_ms;
	int64_t every_ms; /* how often it is written */
};

/* Each returns a new JSON value; NULL: out of memory. */
json_t *bl_rollout_json(const struct bl_rollout *r);
json_t *bl_exposure_json(const struct bl_exposure *e);
json_t *bl_fleet_host_json(const struct bl_fleet_host *h);
json_t *bl_stored_bundle_json(const struct bl_stored_bundle *b);
json_t *bl_tombstone_json(const struct bl_tombstone *t);
json_t *bl_token_json(const struct bl_token *t);
json_t *bl_revoked_json(const struct bl_revoked *v);
json_t *bl_listening_json(const struct bl_listening *l);
json_t *bl_decider_json(const struct bl_decider *d);

/* {"memory": 1048576.0, …}: those that are known. */
json_t *bl_metrics_json(const struct bl_metrics *m);
/* NULL is none. false: an unknown metric, or no number from 0 on. */
bool bl_metrics_read(json_t *obj, struct bl_metrics *ret);

/* Each reads what the function above wrote; -EBADMSG otherwise. */
int bl_rollout_read(const struct bl_store_item *item, struct bl_rollout *ret,
		    struct bl_err *err);
int bl_exposure_read(const struct bl_store_item *item, struct bl_exposure *ret,
		     struct bl_err *err);
int bl_fleet_host_read(const struct bl_store_item *item,
		       struct bl_fleet_host *ret, struct bl_err *err);
int bl_stored_bundle_read(const struct bl_store_item *item,
			  struct bl_stored_bundle *ret, struct bl_err *err);
int bl_tombstone_read(const struct bl_store_item *item,
		      struct bl_tombstone *ret, struct bl_err *err);
int bl_token_read(const struct bl_store_item *item, struct bl_token *ret,
		  struct bl_err *err);
int bl_revoked_read(const struct bl_store_item *item, struct bl_revoked *ret,
		    struct bl_err *err);
int bl_listening_read(const struct bl_store_item *item,
		      struct bl_listening *ret, struct bl_err *err);
int bl_decider_read(const struct bl_store_item *item, struct bl_decider *ret,
		    struct bl_err *err);

#endif
