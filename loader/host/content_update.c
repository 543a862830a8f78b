/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A content update: the bundle that is live here, with other content. It is a
 * bundle like any other from then on, and the same on every host where the same
 * one is live: kept in the store, known by its digest, a way back.
 */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/state.h"

int bl_host_with_content(struct bl_host *h, const char *name, const void *json,
			 size_t len, struct bl_bundle *ret,
			 char ret_onto[static BL_DIGEST_HEX],
			 struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle live = { 0 };
	struct bl_journal_txn t;
	int r = bl_journal_live(h->journal, &t, err);

	if (r < 0)
		return r;
	if (!r) {
		bl_err_set(
			err, -ENOENT,
			"%s is content, and nothing is live on this host that could take it",
			name);
		bl_err_hint(
			err,
			"apply a sensor first: belay apply BUNDLE ('belay bundle build' makes one of a sensor and its content)");
		return -ENOENT;
	}
	r = bl_store_load(h, t.row.digest, &live, err);
	if (r) {
		bl_err_wrap(err, r, "load what is live");
		/* What the bundle lacks is no fault of the content. */
		return r == -EBADMSG || r == -EFBIG ? -EIO : r;
	}
	r = bl_bundle_with_content(&live, name, json, len, ret, err);
	if (!r)
		memcpy(ret_onto, live.digest, BL_DIGEST_HEX);
	return r;
}
