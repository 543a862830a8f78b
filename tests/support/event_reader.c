/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/event_reader.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void event_reader_free(struct event_reader *r)
{
	json_decref(r->rollout);
	json_decref(r->hosts);
	json_decref(r->numbers);
	*r = (struct event_reader){ 0 };
}

const char *event_text(const json_t *data, const char *key)
{
	return json_string_value(json_object_get(data, key));
}

static void take_event(struct event_reader *r, const char *kind, json_t *data)
{
	char key[64];

	r->events++;
	if (strcmp(kind, "rollout") == 0) {
		const char *before = event_text(r->rollout, "id");

		/* Within one reading the oldest come first. */
		if (before && strtol(event_text(data, "id") + 1, NULL, 10) <
				      strtol(before + 1, NULL, 10))
			return;
		json_decref(r->rollout);
		r->rollout = json_incref(data);
	} else if (strcmp(kind, "host") == 0) {
		json_object_set(r->hosts, event_text(data, "host"), data);
	} else {
		ck_assert_str_eq(kind, "decision");
		snprintf(key, sizeof(key), "%s/%lld",
			 event_text(data, "rollout"),
			 (long long)json_integer_value(
				 json_object_get(data, "number")));
		ck_assert_msg(!json_object_get(r->numbers, key),
			      "decision %s came twice", key);
		json_object_set_new(r->numbers, key, json_true());
	}
}

/* Reads whole events out of @text; what is left of it is the next's. */
void event_reader_take(struct event_reader *r, struct bl_buf *text)
{
	char *p = text->data, *end;

	if (!r->hosts) {
		r->hosts = json_object();
		r->numbers = json_object();
	}
	for (; p && (end = strstr(p, "\n\n")); p = end + 2) {
		char kind[16] = "", *data = strstr(p, "\ndata: ");
		json_t *value;

		*end = '\0';
		if (*p == ':')
			continue;
		ck_assert_int_eq(sscanf(p, "event: %15[a-z]", kind), 1);
		ck_assert_ptr_nonnull(data);
		value = json_loads(data + 7, JSON_DISABLE_EOF_CHECK, NULL);
		ck_assert_ptr_nonnull(value);
		take_event(r, kind, value);
		json_decref(value);
		data = strstr(p, "\nid: ");
		if (data)
			r->id = strtoll(data + 5, NULL, 10);
	}
	if (p) {
		text->len = strlen(p);
		memmove(text->data, p, text->len + 1);
	}
}
