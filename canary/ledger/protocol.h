/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent and a controller say to each other: the agent polls with what
 * it is and does, the answer is an order.
 *
 *	POST /v1/hosts/NAME/poll
 *	{ "v": 1, "boot": "…", "session": "…", "seq": 17,
 *	  "kernel": "6.1.0-44-cloud-amd64", "arch": "x86_64", "os": "Debian 12",
 *	  "role": "web", "labels": ["zone=eu"],
 *	  "metrics": { "memory": 1048576.0 },
 *	  "live": "DIGEST", "events": 1234, "drops": 0, "sample": ["exec …"],
 *	  "work": { "rollout": "r3", "order": "apply", "state": "going",
 *		    "reason": "" } }
 *
 *	{ "v": 1, "order": "apply", "rollout": "r3", "digest": "DIGEST",
 *	  "override": "", "probation_ms": 0, "reason": "", "poll_ms": 1000 }
 *
 * "proof" is in an order of a controller that has the fleet's key: the same once
 * more, signed (loader/trust/order.h). A host that wants signatures goes by that
 * and nothing else.
 *
 * work is the newest order that the agent took and what became of it; it is
 * repeated in every poll, so that no answer and no report can get lost.
 *
 * An answer without an order ("none") has an ETag, and is the only one that has.
 * An agent sends the newest one back in every poll:
 *
 *	If-None-Match: "none-1000"
 *	Prefer: wait=25				(RFC 7240; if it likes)
 *
 * and 304 without a body means: the same answer as the one with that ETag. The
 * poll itself is as ever, and counts as one. With Prefer the controller may keep
 * the request for so long (at most BL_POLL_WAIT_MAX_S), while its answer would
 * be 304 and nothing goes on. As soon as something does, it answers "none" with
 * a short poll_ms: an order is an answer to a poll that has just come, never to
 * one that was kept, whose host may be gone. An ETag is made of the answer alone:
 * any controller knows it, also one that was started since.
 *
 * role and labels are what the host's administrator says about it (belay agent
 * --role, --label), metrics what gauge.h measured; left out if that is nothing.
 *
 * Both sides are strict: an unknown key is an error. A session is one life of
 * an agent; seq rises with each of its polls, so that one that comes late or
 * twice is known.
 */
#ifndef BL_CANARY_PROTOCOL_H
#define BL_CANARY_PROTOCOL_H

#include "canary/ledger/record.h"

#define BL_PROTOCOL_VERSION 1
#define BL_POLL_BYTES_MAX   (16 * 1024)
#define BL_ORDER_BYTES_MAX  (16 * 1024)
#define BL_POLL_WAIT_MAX_S  30
#define BL_ETAG_LEN	    32

enum bl_order_kind { BL_ORDER_NONE, BL_ORDER_APPLY, BL_ORDER_ROLLBACK };

enum bl_work_state {
	BL_WORK_GOING,
	BL_WORK_DONE,	   /* applied and committed; or went back */
	BL_WORK_UNDECIDED, /* not applied: the trial could not be judged here */
	BL_WORK_FAILED,	   /* not applied, the old version runs; or could not go
			 * back */
};

struct bl_work {
	enum bl_order_kind order; /* NONE: no work yet, the rest is empty */
	enum bl_work_state state;
	char rollout[BL_ROLLOUT_ID_LEN];
	char reason[BL_REASON_MAX];
};

struct bl_poll {
	char boot[BL_BOOT_LEN];
	char session[BL_SESSION_LEN];
	int64_t seq;
	char kernel[BL_FACT_LEN], arch[BL_FACT_LEN], os[BL_FACT_LEN];
	char role[BL_FACT_LEN]; /* of the host; "": none */
	char labels[BL_LABELS_MAX][BL_LABEL_LEN];
	unsigned label_count;
	char live[BL_DIGEST_HEX];
	struct bl_work work;
	int64_t events, drops;
	struct bl_metrics metrics;
	char sample[BL_SAMPLE_MAX][BL_SAMPLE_LEN];
	unsigned sample_count;
};

struct bl_order {
	enum bl_order_kind kind;
	char rollout[BL_ROLLOUT_ID_LEN];
	char digest[BL_DIGEST_HEX]; /* to apply; or to leave */
	char override_reason[BL_REASON_MAX];
	char reason[BL_REASON_MAX]; /* of a rollback */
	int64_t probation_ms;	    /* 0: the bundle's */
	int64_t poll_ms;	    /* come again after; 0: as you like */
	int64_t start_ms;	    /* of the rollout; is not told */
};

json_t *bl_poll_json(const struct bl_poll *p);
json_t *bl_order_json(const struct bl_order *o);

/* The answer's ETag, with its quotes; "" for an order, which is never left out. */
void bl_order_etag(const struct bl_order *o, char ret[static BL_ETAG_LEN]);

/* -EBADMSG: says which field. */
int bl_poll_parse(const char *text, size_t len, struct bl_poll *ret,
		  struct bl_err *err);
int bl_order_parse(const char *text, size_t len, struct bl_order *ret,
		   struct bl_err *err);

/* The proof of an order that bl_order_parse took, as JSON in ASCII; NULL: it has
 * none. Caller frees. */
int bl_order_proof(const char *text, size_t len, char **ret,
		   struct bl_err *err);

/* KEY=VALUE, the key a name as in bl_name_valid, together below BL_LABEL_LEN. */
bool bl_label_valid(const char *label);

const char *bl_order_name(enum bl_order_kind kind);
const char *bl_work_name(enum bl_work_state state);

#endif
