/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an update carries over from the live slot's maps. The decision is
 * loader/object/carry's; here is what it is asked about.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/state.h"
#include "loader/object/object.h"

/* An object and its maps. */
struct maps {
	struct bl_object object;
	struct bl_map_list list;
};

static void maps_free(struct maps *m)
{
	bl_map_list_free(&m->list);
	bl_object_free(&m->object);
}

static int read_maps(const struct bl_bundle *b, struct maps *ret,
		     struct bl_err *err)
{
	const char *bytes = bl_buf_str(&b->object);
	int r;

	/* Its load will say what it is; it has no maps. */
	if (b->object.len < 4 || memcmp(bytes, "\177ELF", 4) != 0)
		return 0;
	r = bl_object_open(b->manifest.object, bytes, b->object.len,
			   &ret->object, err);
	if (!r)
		r = bl_map_list_read(&ret->object, &ret->list, err);
	return r;
}

static bool any_state(const struct bl_map_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (bl_carry_is_state(&l->defs[i]))
			return true;
	return false;
}

static bool has(const struct bl_map_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->defs[i].name, name) == 0)
			return true;
	return false;
}

/* What the kernel shows of the maps of @live that @now has too. What it does
 * not show stays unreadable. */
static int ask_kernel(struct bl_host *h, enum bl_slot slot,
		      const struct bl_map_list *live,
		      const struct bl_map_list *now, struct bl_map_fact **ret)
{
	struct bl_map_fact *facts = calloc(live->count + 1, sizeof(*facts));

	if (!facts)
		return -ENOMEM;
	for (size_t i = 0; i < live->count; i++) {
		const struct bl_map_def *d = &live->defs[i];

		if (bl_carry_is_state(d) && has(now, d->name))
			h->ops->map(h->kern, slot, d->name, &facts[i], NULL);
	}
	*ret = facts;
	return 0;
}

/* @now against @live, which is in the kernel. */
static int decide(struct bl_host *h, const struct bl_journal_txn *live,
		  const struct bl_bundle *b, const struct maps *now,
		  struct bl_carry_ask ask, struct bl_carry *ret,
		  struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle old = { 0 };
	BL_CLEANUP(maps_free) struct maps was = { 0 };
	bl_autofree struct bl_map_fact *facts = NULL;
	int r = bl_store_load(h, live->row.digest, &old, NULL);

	if (!r)
		r = read_maps(&old, &was, NULL);
	if (r == -ENOMEM)
		return bl_err_errno(err, r, "the live version's maps");
	ask.live = &was.list;
	if (ask.back)
		ask.rules = &old.manifest.state;
	if (r) {
		/* Whatever it had: none of it can be read. */
		ask.live = &now->list;
		facts = calloc(now->list.count + 1, sizeof(*facts));
		r = facts ? 0 : -ENOMEM;
	} else {
		ask.same_object = old.object.len == b->object.len &&
				  memcmp(bl_buf_str(&old.object),
					 bl_buf_str(&b->object),
					 old.object.len) == 0;
		r = ask_kernel(h, live->row.slot, &was.list, &now->list,
			       &facts);
	}
	if (r)
		return bl_err_errno(err, r, "the live version's maps");
	ask.facts = facts;
	return bl_carry_decide(&ask, ret, err);
}

int bl_host_carry(struct bl_host *h, const struct bl_journal_txn *live,
		  const struct bl_bundle *b, bool back, struct bl_carry *ret,
		  struct bl_err *err)
{
	BL_CLEANUP(maps_free) struct maps now = { 0 };
	struct bl_carry_ask ask = { .now = &now.list,
				    .rules = &b->manifest.state,
				    .back = back };
	struct bl_kern_slot_state state = { 0 };
	int r;

	if (!live)
		return 0;
	ask.other_sensor = strcmp(live->row.name, b->manifest.name) != 0;
	r = read_maps(b, &now, err);
	if (r && ask.other_sensor)
		return 0;
	if (r) {
		bl_err_wrap(err, r, "its maps cannot be read");
		return r == -ENOMEM ? r : -EBADMSG;
	}
	if (!any_state(&now.list))
		return 0;
	r = h->ops->inspect(h->kern, live->row.slot, &state, err);
	if (r && !back)
		return r;
	/* After a reboot there is nothing to keep. */
	if (!r && state.kind == BL_KERN_SLOT_EMPTY)
		return 0;
	return decide(h, live, b, &now, ask, ret, err);
}

void bl_host_carry_note(const struct bl_carry *carry, struct bl_host_txn *row)
{
	bl_autobuf struct bl_buf text = { 0 };
	char *end;

	*row->maps = 0;
	if (bl_carry_text(carry, &text))
		return; /* reporting never decides (I9) */
	snprintf(row->maps, sizeof(row->maps), "%s", bl_buf_str(&text));
	/* Whole names or none. */
	end = strrchr(row->maps, ' ');
	if (text.len >= sizeof(row->maps))
		*(end ? end : row->maps) = 0;
}
