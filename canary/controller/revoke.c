/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/revoke.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/ledger/fleet.h"
#include "canary/ledger/ledger.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"

#define TRIES 16

static const char *const role_names[] = {
	[BL_ROLE_HOST] = "host",
	[BL_ROLE_OPERATOR] = "operator",
};

/* All 0 and revision 0: nothing of that name was ever taken back. */
static int read_revoked(struct bl_store *store, enum bl_role role,
			const char *name, struct bl_revoked *ret,
			int64_t *ret_revision, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	struct bl_revoked revoked = { 0 };
	char prefix[32];
	int r;

	snprintf(prefix, sizeof(prefix), "revoked/%s/", role_names[role]);
	r = bl_fleet_get(store, &item, err, prefix, name);
	if (!r && item.revision)
		r = bl_revoked_read(&item, &revoked, err);
	if (r < 0)
		return r;
	*ret = revoked;
	*ret_revision = item.revision;
	return 0;
}

int bl_revoke_generation(struct bl_store *store, enum bl_role role,
			 const char *name, unsigned *ret, struct bl_err *err)
{
	struct bl_revoked revoked;
	int64_t revision;
	int r = read_revoked(store, role, name, &revoked, &revision, err);

	if (!r)
		*ret = revoked.generation;
	return r;
}

int bl_revoke_check(struct bl_store *store, const struct bl_peer *peer,
		    struct bl_err *err)
{
	char when[BL_TIME_ISO_LEN];
	/* A viewer has an operator's name: it is taken back as one. */
	enum bl_role role = peer->role == BL_ROLE_VIEWER ? BL_ROLE_OPERATOR
							 : peer->role;
	struct bl_revoked revoked;
	int64_t revision;
	int r;

	if (role != BL_ROLE_HOST && role != BL_ROLE_OPERATOR)
		return 0;
	r = read_revoked(store, role, peer->name, &revoked, &revision, err);
	if (r < 0 || peer->generation >= revoked.generation)
		return r;
	bl_err_set(err, -EACCES,
		   "the certificate of %s %s was taken back on %s by %s: %s",
		   role_names[role], peer->name,
		   bl_clock_iso(revoked.at_ms, when), revoked.by,
		   revoked.reason);
	if (role == BL_ROLE_HOST)
		bl_err_hint(
			err,
			"'belay host token %s' and 'belay host enroll -' make a new one",
			peer->name);
	else
		bl_err_hint(
			err,
			"'belay controller operator NAME' makes a new one, of another name");
	return -EACCES;
}

/* The tokens of the host, a transaction's worth at a time. */
static int drop_tokens(struct bl_store *store, const char *host,
		       unsigned *ret_dropped, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	unsigned dropped = 0;
	size_t i = 0;
	int r = bl_store_list(store, "token/", &list, err);

	while (!r && i < list.count) {
		bl_autochange struct bl_change c = { 0 };

		for (; !r && i < list.count && c.put_count < BL_STORE_TXN_MAX;
		     i++) {
			struct bl_token t;

			r = bl_token_read(&list.items[i], &t, err);
			if (r < 0 || strcmp(t.host, host) != 0)
				continue;
			bl_change_remove(&c, "%s", list.items[i].key);
			dropped++;
		}
		if (!r)
			r = bl_change_write(&c, store, err);
	}
	if (!r)
		*ret_dropped = dropped;
	return r;
}

static int raise_once(struct bl_store *store, enum bl_role role,
		      const char *name, struct bl_revoked *next,
		      struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	struct bl_revoked before;
	int64_t revision;
	size_t known = 0;
	int r = read_revoked(store, role, name, &before, &revision, err);

	if (!r && !revision)
		r = bl_store_count(store, "revoked/", &known, err);
	if (r < 0)
		return r;
	if (known >= BL_REVOKED_MAX)
		return bl_err_set(
			err, -ENOSPC,
			"the certificates of %d names were taken back, no more are kept",
			BL_REVOKED_MAX);
	next->generation = before.generation + 1;
	bl_change_expect(&c, revision, "revoked/%s/%s", role_names[role], name);
	bl_change_put(&c, bl_revoked_json(next), "revoked/%s/%s",
		      role_names[role], name);
	return bl_change_write(&c, store, err);
}

/* The open rollout that exposed this host: its silence will stop it. */
static int rollout_of(struct bl_store *store, const char *host,
		      char ret_id[static BL_ROLLOUT_ID_LEN], bool *ret_known,
		      struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	struct bl_fleet_host h = { 0 };
	int r = bl_fleet_get(store, &item, err, "host/", host);

	if (!r && item.revision)
		r = bl_fleet_host_read(&item, &h, err);
	if (!r)
		r = bl_fleet_active(store, ret_id, err);
	if (r < 0)
		return r;
	*ret_known = item.revision != 0;
	if (strcmp(ret_id, h.rollout) != 0)
		*ret_id = '\0';
	return 0;
}

static int check_request(const struct bl_request *q, enum bl_role role,
			 const char *name, struct bl_err *err)
{
	if (!q->pki) {
		bl_err_set(
			err, -ENOTSUP,
			"this controller speaks plain HTTP: it has no certificates to take back");
		return -ENOTSUP;
	}
	if (role == BL_ROLE_OPERATOR && q->peer &&
	    q->peer->role == BL_ROLE_OPERATOR &&
	    strcmp(q->peer->name, name) == 0) {
		bl_err_set(
			err, -EINVAL,
			"the certificate of operator %s is the one that asks",
			name);
		bl_err_hint(err, "let another operator take it back");
		return -EINVAL;
	}
	return 0;
}

static int raise(struct bl_store *store, enum bl_role role, const char *name,
		 struct bl_revoked *next, struct bl_err *err)
{
	struct bl_err e;
	int i, r;

	for (i = 0, r = -EAGAIN; r == -EAGAIN && i < TRIES; i++) {
		e = (struct bl_err){ 0 };
		r = raise_once(store, role, name, next, &e);
	}
	if (r < 0 && err)
		*err = e;
	return r;
}

int bl_revoke(struct bl_store *store, const struct bl_request *q,
	      enum bl_role role, const char *name, int64_t now_ms, json_t **ret,
	      struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "reason", BL_JSON_STRING, false, 0, 0, BL_REASON_MAX - 1 },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_revoked revoked = { .at_ms = now_ms };
	char id[BL_ROLLOUT_ID_LEN] = "";
	const char *reason = "";
	bool known = true;
	unsigned tokens = 0;
	int r = check_request(q, role, name, err);

	if (!r)
		r = bl_json_parse("request", q->body, q->len, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &reason, err);
	if (r < 0)
		return r;
	bl_text_copy(revoked.by, sizeof(revoked.by),
		     q->peer ? q->peer->name : "");
	bl_text_copy(revoked.reason, sizeof(revoked.reason),
		     *reason ? reason : "no reason was given");
	if (role == BL_ROLE_HOST) {
		r = rollout_of(store, name, id, &known, err);
		if (!r)
			r = drop_tokens(store, name, &tokens, err);
	}
	if (!r)
		r = raise(store, role, name, &revoked, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:b,s:s}", "role",
			 role_names[role], "name", name, "by", revoked.by,
			 "reason", revoked.reason, "at_ms",
			 (json_int_t)revoked.at_ms, "generation",
			 (json_int_t)revoked.generation, "tokens",
			 (json_int_t)tokens, "known", known, "rollout", id);
	return 0;
}

static int list_role(struct bl_store *store, enum bl_role role, json_t *list,
		     struct bl_err *err)
{
	bl_autostore_list struct bl_store_list items = { 0 };
	char prefix[32];
	size_t i;
	int r;

	snprintf(prefix, sizeof(prefix), "revoked/%s/", role_names[role]);
	r = bl_store_list(store, prefix, &items, err);
	for (i = 0; !r && i < items.count; i++) {
		struct bl_revoked v;

		r = bl_revoked_read(&items.items[i], &v, err);
		if (r < 0)
			break;
		json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "role",
					role_names[role], "name",
					items.items[i].key + strlen(prefix),
					"by", v.by, "reason", v.reason, "at_ms",
					(json_int_t)v.at_ms, "generation",
					(json_int_t)v.generation));
	}
	return r;
}

int bl_revoke_list(struct bl_store *store, const struct bl_request *q,
		   int64_t now_ms, json_t **ret, struct bl_err *err)
{
	bl_autojson json_t *list = json_array();
	int r = list_role(store, BL_ROLE_HOST, list, err);

	(void)q;
	(void)now_ms;
	if (!r)
		r = list_role(store, BL_ROLE_OPERATOR, list, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:O}", "revoked", list);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}
