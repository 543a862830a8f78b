/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TUF repository in memory, with every key at hand: what a repository, a
 * mirror or a thief can write. Keys come from fixed seeds.
 *
 *	struct tuf t; tuf_open(&t);	version 1 of everything, published
 *	tuf_bump(t.targets); …		change a body
 *	tuf_publish(&t);		sign and write all again
 *	tuf_put(&t, "metadata/timestamp.json", "…");	what an attacker does
 */
#ifndef BL_TESTS_TUF_H
#define BL_TESTS_TUF_H

#include "loader/trust/ed25519.h"
#include "loader/trust/tuf.h"

#define TUF_NOW	   1800000000 /* 2027-01-15T08:00:00Z */
#define TUF_TARGET "sensor-1.bundle"
#define TUF_BYTES  "the bytes of a sensor"

enum tuf_key {
	TUF_ROOT_1,
	TUF_ROOT_2,
	TUF_ROOT_3,
	TUF_TARGETS_1,
	TUF_TARGETS_2,
	TUF_SNAPSHOT,
	TUF_TIMESTAMP,
	TUF_FLEET,
	TUF_STRANGER,
	TUF_KEYS,
};
#define TUF_KEY(k) (1u << (k))
#define TUF_ROOT_KEYS \
	(TUF_KEY(TUF_ROOT_1) | TUF_KEY(TUF_ROOT_2) | TUF_KEY(TUF_ROOT_3))
#define TUF_TARGETS_KEYS (TUF_KEY(TUF_TARGETS_1) | TUF_KEY(TUF_TARGETS_2))

struct tuf {
	struct bl_ed25519 key[TUF_KEYS];
	json_t *files; /* name → text, as a fetcher finds them */
	json_t *root, *timestamp, *snapshot, *targets, *fleet; /* bodies */
	struct bl_tuf_fetcher fetcher;
	bool loose;   /* state versions only, no lengths and hashes */
	bool endless; /* the fetcher heeds no limit */
};

/* Roots 2 of 3, targets 2 of 2, one key for each of the others; targets list
 * TUF_TARGET and delegate "fleet/" + one component to "fleet". */
void tuf_open(struct tuf *t);
void tuf_close(struct tuf *t);

/* Writes all bodies with their right keys, under their versions; a snapshot
 * and a timestamp state the versions, lengths and hashes of what is written. */
void tuf_publish(struct tuf *t);

/* Versions + 1 of all but the root, and published. */
void tuf_next(struct tuf *t);

/* The steps of it. A body signed by these keys under its name; what the
 * snapshot and the timestamp state of the files that are written. */
void tuf_write(struct tuf *t, const json_t *body, const char *role,
	       unsigned keys);
void tuf_state_snapshot(struct tuf *t);
void tuf_state_timestamp(struct tuf *t);

/* Version + 1. */
void tuf_bump(json_t *body);
json_int_t tuf_version(const json_t *body);

/* The body with the signatures of these keys. Caller frees. */
char *tuf_sign(const struct tuf *t, const json_t *body, unsigned keys);

/* The key as metadata has it, and what it is called. */
json_t *tuf_key(const struct tuf *t, enum tuf_key k);
json_t *tuf_keyid(const struct tuf *t, enum tuf_key k);

void tuf_put(struct tuf *t, const char *name, const char *text);
const char *tuf_get(const struct tuf *t, const char *name);

/* "metadata/7.targets.json" of a body, "metadata/timestamp.json"; static. */
const char *tuf_name(const json_t *body, const char *role);

#endif
