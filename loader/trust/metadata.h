/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of TUF metadata (the specification 1.0.x, section 4): read, and
 * asked what it says. Pure: bytes in, no file, no clock.
 *
 *	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
 *	r = bl_meta_parse("timestamp.json", data, len, BL_META_TIMESTAMP, &m, err);
 *	r = bl_meta_signed_by(&m, &root, "timestamp", err);
 *
 * Invariants of what was parsed:
 *  T1 Strict JSON: no key twice, depth and bytes limited. Keys that the
 *     specification does not know are let be, as it demands, and are signed
 *     like the rest.
 *  T2 Every keyid is the SHA-256 of its key; a role names keys that are there,
 *     each once, and at least as many as it needs.
 *  T3 Names of targets and roles are safe below a folder: components of
 *     bl_name_valid, joined by '/'.
 *  T4 Parsing believes nobody: until bl_meta_signed_by it is a stranger's word.
 */
#ifndef BL_TRUST_METADATA_H
#define BL_TRUST_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/json.h"
#include "loader/trust/fault.h"

/* Bytes of a file; as many as python3-tuf's client takes. */
#define BL_META_ROOT_MAX      512000
#define BL_META_TIMESTAMP_MAX 16384
#define BL_META_SNAPSHOT_MAX  2000000
#define BL_META_TARGETS_MAX   5000000

#define BL_META_KEYS_MAX	64    /* of a root, or of delegations */
#define BL_META_ROLE_KEYS_MAX	32    /* of one role */
#define BL_META_SIGNATURES_MAX	64    /* on one file */
#define BL_META_FILES_MAX	1024  /* in a snapshot */
#define BL_META_TARGETS_COUNT	10000 /* in one file */
#define BL_META_DELEGATIONS_MAX 32
#define BL_META_PATHS_MAX	64  /* of a delegation */
#define BL_META_NAME_MAX	255 /* bytes of a target's name, a pattern */
#define BL_META_VERSION_MAX	(1LL << 53)
#define BL_META_LENGTH_MAX	(1LL << 40)

enum bl_meta_kind {
	BL_META_ROOT,
	BL_META_TIMESTAMP,
	BL_META_SNAPSHOT,
	BL_META_TARGETS,	       /* and what it delegates to */
	BL_META_ROLES,		       /* so many has a root */
	BL_META_ORDER = BL_META_ROLES, /* order.h */
	BL_META_KINDS,
};

/* "root", "timestamp", … */
const char *bl_meta_kind_name(enum bl_meta_kind kind);

struct bl_meta {
	enum bl_meta_kind kind;
	int64_t version, expires_s; /* seconds since 1970 */
	bool consistent;	    /* a root's: names have versions */
	const json_t *body;	    /* what is signed; NULL: nothing is here */
	struct bl_json_doc doc;
	struct bl_buf text; /* body's canonical form */
};

void bl_meta_free(struct bl_meta *m);

/*
 * Copies the bytes; @name is for messages. *ret untouched on failure.
 * BL_TRUST_MALFORMED, BL_TRUST_KIND, BL_TRUST_SPEC, BL_TRUST_NAME.
 */
int bl_meta_parse(const char *name, const void *data, size_t len,
		  enum bl_meta_kind kind, struct bl_meta *ret,
		  struct bl_err *err);

/*
 * Whether enough keys of @role, as @by (a root, or targets that delegate)
 * names them, signed @m. Keys count, not signatures: one key under two names
 * or with two signatures counts once. BL_TRUST_SIGNATURE: they did not, or
 * @by knows no such role.
 */
int bl_meta_signed_by(const struct bl_meta *m, const struct bl_meta *by,
		      const char *role, struct bl_err *err);

/*
 * Whose signatures @m still lacks: the @i-th key of @role that has not signed it;
 * NULL behind the last. Who signed counts for *ret_signed, if that is not NULL.
 */
const char *bl_meta_unsigned(const struct bl_meta *m, const struct bl_meta *by,
			     const char *role, size_t i, size_t *ret_signed);

/* How many keys @role has in @by, and how many of them must sign. False: @by
 * knows no such role. */
bool bl_meta_role(const struct bl_meta *by, const char *role, size_t *ret_keys,
		  size_t *ret_threshold);

/* Whether @by names the key of that name for @role. */
bool bl_meta_role_has(const struct bl_meta *by, const char *role,
		      const char *keyid);

/* What a timestamp or a snapshot says of another file. */
struct bl_meta_file {
	int64_t version;
	int64_t length;	    /* bytes; -1: not said */
	const char *sha256; /* NULL: not said */
};
/* False: @name ("targets.json") is not in it. */
bool bl_meta_file(const struct bl_meta *m, const char *name,
		  struct bl_meta_file *ret);

/* What targets metadata says of a target. Borrowed. */
struct bl_meta_target {
	const char *path;
	int64_t length;
	const char *sha256;
	const json_t *custom; /* an object, or NULL */
};
bool bl_meta_target(const struct bl_meta *m, const char *path,
		    struct bl_meta_target *ret);

/* The @i-th role that targets metadata delegates to; NULL behind the last. */
const char *bl_meta_delegation(const struct bl_meta *m, size_t i,
			       bool *ret_terminating);
/* Whether that role may speak of a target of this name. */
bool bl_meta_delegates(const struct bl_meta *m, size_t i, const char *path);

/* T3, for names from elsewhere. */
bool bl_meta_path_valid(const char *path);

/* '*' and '?' as in a shell, neither of them for a '/'. In time of the product
 * of the lengths, whatever the pattern. */
bool bl_meta_pattern_matches(const char *pattern, const char *path);

#endif
