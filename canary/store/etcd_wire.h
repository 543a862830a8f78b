/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said to etcd's v3 JSON gateway, and what it answers: pure, no
 * sockets. Keys and values are base64 there, 64-bit numbers are strings, and
 * what is zero or empty is left out.
 *
 * Requests are built from pieces; each function returns a new JSON value, NULL
 * when out of memory, and takes the values that it is given (NULL passes
 * through, so that only the last result needs a look):
 *
 *	POST /v3/kv/range	bl_etcd_range_json
 *	POST /v3/kv/put		bl_etcd_put_json
 *	POST /v3/kv/txn		bl_etcd_txn_json
 */
#ifndef BL_CANARY_ETCD_WIRE_H
#define BL_CANARY_ETCD_WIRE_H

#include <stdbool.h>

#include "canary/store/store.h"
#include "loader/base/json.h"

#define BL_ETCD_ANSWER_MAX (64u << 20) /* bytes of an answer */

struct bl_etcd_range {
	const char *key;
	size_t key_len;	  /* a page begins behind a key: at it and a NUL */
	const char *end;  /* the first key that is not meant; NULL: one key */
	int64_t revision; /* as it was then; 0: now */
	int64_t since;	  /* only what was written after it; 0: all */
	unsigned limit;	  /* 0: none */
	bool count_only;
};

json_t *bl_etcd_range_json(const struct bl_etcd_range *q);
json_t *bl_etcd_put_json(const char *key, const void *data, size_t len);
json_t *bl_etcd_delete_json(const char *key, const char *end);

/* @key was written last at @revision; 0: there is none. */
json_t *bl_etcd_unchanged_json(const char *key, int64_t revision);
/* There is such a key, whoever wrote it. */
json_t *bl_etcd_present_json(const char *key);

enum bl_etcd_op { BL_ETCD_PUT, BL_ETCD_DELETE, BL_ETCD_RANGE };
/* Adds one operation to a list; -ENOMEM. */
int bl_etcd_add_op(json_t *list, enum bl_etcd_op op, json_t *request);

json_t *bl_etcd_txn_json(json_t *compares, json_t *then, json_t *otherwise);

struct bl_etcd_answer {
	int64_t revision;	    /* of the whole of etcd when it answered */
	bool succeeded;		    /* a transaction whose compares held */
	bool more;		    /* the limit cut it */
	int64_t count;		    /* of a range, whatever its limit */
	struct bl_store_list items; /* of a range, or of all of a transaction */
	/* Of each operation of a transaction, in order: keys counted. */
	int64_t counts[BL_STORE_MANY_MAX];
	size_t count_count;
};
void bl_etcd_answer_free(struct bl_etcd_answer *a);

/* Reads a success. -EBADMSG for what etcd does not say. */
int bl_etcd_answer_read(const char *text, size_t len,
			struct bl_etcd_answer *ret, struct bl_err *err);

/*
 * Reads a failure (a status that is no 2xx) into one of
 *
 *	-EHOSTUNREACH	it cannot now; it may have been carried out
 *	-ESTALE		the revision that was asked for was compacted away
 *	-ENOSPC, -EFBIG, -EACCES
 *	-EPROTO		anything else, or no etcd at all
 *
 * with etcd's words.
 */
int bl_etcd_failure_read(long status, const char *text, size_t len,
			 struct bl_err *err);

#endif
