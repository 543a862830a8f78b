/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/observe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

#define FIRST_SIZE 256

void bl_observed_free(struct bl_observed_host *h)
{
	free(h->good);
	*h = (struct bl_observed_host){ 0 };
}

int bl_observed_beat(struct bl_observed_host *h, int64_t t_ms)
{
	if (h->count == h->size) {
		size_t size = h->size ? 2 * h->size : FIRST_SIZE;
		int64_t *good = reallocarray(h->good, size, sizeof(*good));

		if (!good)
			return -ENOMEM;
		h->good = good;
		h->size = size;
	}
	if (h->count && h->good[h->count - 1] > t_ms)
		t_ms = h->good[h->count - 1];
	h->good[h->count++] = t_ms;
	return 0;
}

bool bl_observed_up(const struct bl_observed_host *h, int64_t t_ms)
{
	return h->count && t_ms - h->good[h->count - 1] <= BL_OBSERVED_GAP_MS;
}

bool bl_observed_down_at(const struct bl_observed_host *h, size_t i,
			 int64_t end_ms, struct bl_observed_down *ret)
{
	/* Up when it all began: nobody pushes to a fleet that is not. */
	int64_t last = 0;
	size_t b;

	for (b = 0; b <= h->count; b++) {
		int64_t next = b < h->count ? h->good[b] : end_ms;

		if (next > end_ms)
			next = end_ms;
		if (next < last)
			next = last;
		if (next - last > BL_OBSERVED_GAP_MS && i-- == 0) {
			*ret = (struct bl_observed_down){ last, next };
			return true;
		}
		last = next;
	}
	return false;
}

static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

static bool has_time(const json_t *txn, const char *key)
{
	return json_is_integer(
		json_object_get(json_object_get(txn, "times"), key));
}

static void read_txn(const json_t *txn, struct bl_observed_txn *ret)
{
	const char *phase = text_of(txn, "phase");

	ret->there = true;
	ret->staged = has_time(txn, "staged_ms");
	ret->back = strcmp(phase, "rolled-back") == 0;
	ret->open = !ret->back && strcmp(phase, "committed") != 0 &&
		    strcmp(phase, "done") != 0;
	bl_text_copy(ret->attribution, sizeof(ret->attribution),
		     text_of(txn, "attribution"));
	bl_text_copy(ret->reason, sizeof(ret->reason), text_of(txn, "reason"));
}

int bl_observed_history(struct bl_observed_host *h, const char *digest,
			const char *json, size_t len)
{
	bl_autojson json_t *root = json_loadb(json, len, 0, NULL);
	const json_t *txns = json_object_get(root, "transactions");
	struct bl_observed_txn found = { 0 };
	size_t i;

	if (!json_is_array(txns))
		return -EBADMSG;
	/* Newest first. A restore of what is live is no try of it. */
	for (i = 0; !found.there && i < json_array_size(txns); i++) {
		const json_t *txn = json_array_get(txns, i);

		if (strcmp(text_of(txn, "digest"), digest) == 0 &&
		    strcmp(text_of(txn, "kind"), "apply") == 0)
			read_txn(txn, &found);
	}
	if (found.there)
		h->txn = found;
	h->told |= h->tried && !found.open;
	return 0;
}
