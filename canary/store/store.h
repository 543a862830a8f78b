/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What controllers share: a small store of keys and values with revisions.
 * Controllers keep no state of their own; several may use one store.
 *
 * Every successful transaction raises the store's revision and stamps the new
 * one on each key that it writes. A transaction compares the revisions of some
 * keys and writes others, all or nothing, durable before it returns. That is
 * all that the ledger needs, and what etcd offers as well.
 *
 *	struct bl_store *s;
 *	r = bl_store_open("sqlite:/var/lib/belay/fleet.db", &s, err);
 *	r = bl_store_get(s, "rollout/r1", &item, err);
 *	…
 *	cmp = { "rollout/r1", item.revision };
 *	put = { "rollout/r1", text, len };
 *	r = bl_store_txn(s, &cmp, 1, &put, 1, err);    -EAGAIN: read again
 *
 * Invariants:
 *  - a reader sees all of a transaction or nothing of it;
 *  - what a transaction wrote is there after a crash, or the call failed;
 *  - revisions only grow; a key that was removed and made again has a new one.
 *
 * One handle is used by one thread at a time; processes need no such care.
 */
#ifndef BL_CANARY_STORE_H
#define BL_CANARY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_STORE_KEY_MAX   512
#define BL_STORE_VALUE_MAX (64u * 1024 * 1024)
#define BL_STORE_TXN_MAX   16 /* compares, and puts, of one transaction */
/* Or so many, if no value is or replaces a large one (64 KiB), and all of them
 * together are not more than this. */
#define BL_STORE_MANY_MAX   120
#define BL_STORE_MANY_BYTES (768u * 1024)

struct bl_store_item {
	char *key;
	struct bl_buf value;
	int64_t revision; /* of the transaction that wrote it; > 0 */
};
#define bl_autostore_item __attribute__((cleanup(bl_store_item_free)))
void bl_store_item_free(struct bl_store_item *item);

struct bl_store_list {
	struct bl_store_item *items; /* sorted by key, bytewise */
	size_t count;
};
#define bl_autostore_list __attribute__((cleanup(bl_store_list_free)))
void bl_store_list_free(struct bl_store_list *list);

struct bl_store_compare {
	const char *key;
	int64_t revision; /* 0: the key must not exist */
};

struct bl_store_put {
	const char *key;
	const void *data; /* NULL: remove the key */
	size_t len;
};

struct bl_store;
struct bl_store_ops {
	int (*get)(struct bl_store *s, const char *key,
		   struct bl_store_item *ret, struct bl_err *err);
	/* NULL: get, for each of them. */
	int (*get_many)(struct bl_store *s, const char *const *keys,
			size_t count, struct bl_store_item *ret,
			struct bl_err *err);
	int (*list)(struct bl_store *s, const char *prefix, int64_t since,
		    struct bl_store_list *ret, struct bl_err *err);
	int (*count)(struct bl_store *s, const char *prefix, size_t *ret,
		     struct bl_err *err);
	int (*txn)(struct bl_store *s, const struct bl_store_compare *compares,
		   size_t compare_count, const struct bl_store_put *puts,
		   size_t put_count, int64_t *ret_revision, struct bl_err *err);
	int (*revision)(struct bl_store *s, int64_t *ret, struct bl_err *err);
	void (*close)(struct bl_store *s);
};

/* The head of every implementation. */
struct bl_store {
	const struct bl_store_ops *ops;
};

/*
 * Opens "sqlite:FILE", made if missing, or "etcd:URL[,URL…][#PREFIX]": the
 * members of one etcd, and what its keys begin with ("belay"). -EINVAL for
 * another scheme, -EBADMSG for what is no store of belay's or of a newer belay,
 * -EPERM for plain HTTP to another machine.
 */
int bl_store_open(const char *url, struct bl_store **ret, struct bl_err *err);
void bl_store_close(struct bl_store *s);

/* -ENOENT: no such key. The caller frees *ret. */
int bl_store_get(struct bl_store *s, const char *key, struct bl_store_item *ret,
		 struct bl_err *err);

/*
 * Reads up to BL_STORE_MANY_MAX keys into @ret[@count], by one request where the
 * store is on the network; those that are not there are empty and of revision 0.
 * Each is as of an instant of the call. The caller frees every one; after an error
 * there is nothing to free.
 */
int bl_store_get_many(struct bl_store *s, const char *const *keys, size_t count,
		      struct bl_store_item *ret, struct bl_err *err);

/* All keys that begin with @prefix, in one consistent reading. */
int bl_store_list(struct bl_store *s, const char *prefix,
		  struct bl_store_list *ret, struct bl_err *err);

/* Those of them that were written after the transaction of @since. What was
 * removed is not among them. */
int bl_store_changed(struct bl_store *s, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err);

/* How many keys begin with @prefix, without reading what they hold. */
int bl_store_count(struct bl_store *s, const char *prefix, size_t *ret,
		   struct bl_err *err);

/*
 * If every compare holds, does every put (no key twice); else -EAGAIN and
 * nothing happened. Without a put it only says whether they hold, all at one
 * instant of the call. -EFBIG: larger than the limits above. -EBUSY: another process held the store for too long. Any
 * other error: it may or may not have happened; read again. -EHOSTUNREACH, here
 * and from every function: nobody answers for the store now; what it keeps is
 * as it was.
 */
int bl_store_txn(struct bl_store *s, const struct bl_store_compare *compares,
		 size_t compare_count, const struct bl_store_put *puts,
		 size_t put_count, struct bl_err *err);

/* The same, and its revision, which all that it wrote has from then on; *ret is
 * untouched when it wrote nothing. */
int bl_store_txn_at(struct bl_store *s, const struct bl_store_compare *compares,
		    size_t compare_count, const struct bl_store_put *puts,
		    size_t put_count, int64_t *ret_revision,
		    struct bl_err *err);

/* The revision of the newest transaction, or something newer where a store is
 * shared with others. */
int bl_store_revision(struct bl_store *s, int64_t *ret, struct bl_err *err);

/* The SQLite store on @path; see bl_store_open. */
int bl_store_sqlite_open(const char *path, struct bl_store **ret,
			 struct bl_err *err);

struct bl_store_etcd_opts {
	uint64_t timeout_ms; /* of a request to one member */
	unsigned page;	     /* keys of one request of a list */
};

/* The etcd store; @urls without the scheme. @opts or what is 0 in it: the
 * defaults. See bl_store_open. */
int bl_store_etcd_open(const char *urls, const struct bl_store_etcd_opts *opts,
		       struct bl_store **ret, struct bl_err *err);

#endif
