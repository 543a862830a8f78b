/* SPDX-License-Identifier: Apache-2.0 */
/* The stored decisions of a rollout, as they are asked for. */
#include <errno.h>
#include <stdio.h>

#include "canary/ledger/fleet.h"
#include "loader/base/cleanup.h"

static int read_one(const struct bl_store_item *item, json_t *list,
		    struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r = bl_json_parse(item->key, bl_buf_str(&item->value),
			      item->value.len, &doc, err);

	if (r < 0)
		return bl_err_wrap(err, r, "store");
	return json_array_append(list, doc.root) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

int bl_fleet_decisions_json(struct bl_store *store, const char *id,
			    json_t **ret, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list items = { 0 };
	bl_autojson json_t *list = json_array();
	char prefix[BL_ROLLOUT_ID_LEN + 16];
	struct bl_rollout rollout;
	int64_t revision;
	size_t i;
	int r = bl_fleet_rollout(store, id, &rollout, &revision, err);

	snprintf(prefix, sizeof(prefix), "decision/%s/", id);
	if (!r)
		r = bl_store_list(store, prefix, &items, err);
	for (i = 0; !r && i < items.count; i++)
		r = read_one(&items.items[i], list, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:O}", "id", rollout.id,
			 "name", rollout.name, "version", rollout.version,
			 "state", bl_rollout_state_name(rollout.state),
			 "reason", rollout.reason, "plan",
			 bl_plan_json(&rollout.plan), "decisions", list);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}
