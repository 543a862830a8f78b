/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a controller remembers, as polls.h describes it: hosts by name, and a
 * few rollouts. Everything here can be forgotten at any time and read again.
 * For polls.c and polls_flush.c only, through polls_own.h.
 */
#ifndef BL_CANARY_KNOWN_H
#define BL_CANARY_KNOWN_H

#include "canary/controller/polls.h"
#include "canary/ledger/heard.h"
#include "canary/ledger/ledger.h"

#define BL_KNOWN_BUCKETS  16384
#define BL_KNOWN_ROLLOUTS 16

struct bl_known_host {
	struct bl_known_host *next; /* of its bucket */
	struct bl_fleet_host host;
	struct bl_exposure exposure;		  /* by host.rollout */
	int64_t host_revision, exposure_revision; /* 0: not in the store */
	int64_t written_ms; /* heard, as far as the store knows */
	int64_t counted_ms; /* its own record was written */
	unsigned shard;
	bool heard;	/* later than written_ms */
	bool stale;	/* somebody else wrote its exposure */
	bool pending;	/* in the transaction in the making */
	unsigned ahead; /* the reading ahead (bl_polls_ahead) that it is of; 0 */
};

struct bl_known_rollout {
	struct bl_rollout rollout;
	int64_t revision; /* 0: this place is free */
	int64_t read_ms, used;
	bool changed;  /* by the transaction in the making */
	bool expected; /* by it, as it is */
};

struct bl_known {
	struct bl_known_host *buckets[BL_KNOWN_BUCKETS];
	size_t count;
	size_t cursor; /* a bucket: whose counters are written next */
	struct bl_known_rollout rollouts[BL_KNOWN_ROLLOUTS];
	int64_t uses;
	char active[BL_ROLLOUT_ID_LEN];
	int64_t active_ms; /* when that was read; 0: not yet */
	/* The rollout that was open at the last look ("": none), and the revision
	 * up to which exposures were looked at; 0: of no host anything is known. */
	char looked[BL_ROLLOUT_ID_LEN];
	int64_t looked_revision, looked_ms;
	json_t *revoked; /* host to generation, as far as any was */
	int64_t revoked_newest, revoked_ms;
	size_t hosts;	  /* in the store */
	int64_t hosts_ms; /* likewise */
};

void bl_known_free(struct bl_known *k);

struct bl_known_host *bl_known_host_find(const struct bl_known *k,
					 const char *name);
/* Adds one that is not there; NULL: out of memory. */
struct bl_known_host *bl_known_host_add(struct bl_known *k, const char *name);
void bl_known_host_forget(struct bl_known *k, const char *name);

/* Reads the host, new if the store does not have it, and its exposure, into
 * @ret, whose name is set. */
int bl_known_host_read(struct bl_known *k, struct bl_store *store,
		       int64_t now_ms, struct bl_known_host *ret,
		       struct bl_err *err);

/* The same for hosts that were just added, at once; @hosts is used up. One that
 * could not be read is forgotten; the others are of @ahead. */
void bl_known_hosts_read(struct bl_known *k, struct bl_store *store,
			 int64_t now_ms, struct bl_known_host **hosts,
			 size_t count, unsigned ahead);

/* The generation up to which the host's certificates were taken back, 0 if none
 * was, as of @max_age_ms. */
int bl_known_revoked(struct bl_known *k, struct bl_store *store,
		     const char *host, int64_t now_ms, int64_t max_age_ms,
		     unsigned *ret, struct bl_err *err);

/* The open rollout's ID, read again if it is @max_age_ms old or older. */
int bl_known_active(struct bl_known *k, struct bl_store *store, int64_t now_ms,
		    int64_t max_age_ms, struct bl_err *err);

/* A rollout, likewise; one that was changed or is expected is as it was then. *ret stays
 * where it is while fewer than BL_KNOWN_ROLLOUTS others are asked for. */
int bl_known_rollout(struct bl_known *k, struct bl_store *store, const char *id,
		     int64_t now_ms, int64_t max_age_ms,
		     struct bl_known_rollout **ret, struct bl_err *err);
void bl_known_rollouts_forget(struct bl_known *k);

/*
 * Marks whose exposure was written by somebody else since the last look: hosts
 * that others exposed, and what others decided about hosts. Every transaction
 * that writes an exposure writes its rollout: while the same one is open nothing
 * is read unless its revision is new; else it is asked which rollouts were
 * written, so that one that began and ended meanwhile is looked at, too. While one
 * is open, late reports on another that has ended are not looked at.
 */
int bl_known_look(struct bl_known *k, struct bl_store *store, int64_t now_ms,
		  int64_t max_age_ms, struct bl_err *err);
/* This process wrote @r; its revision was that in @r. */
void bl_known_looked(struct bl_known *k, const struct bl_known_rollout *r,
		     int64_t revision);

#endif
