/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/import/misp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/bundle/digest.h"

/* Of a UUID in a rule's id, behind "misp-": all of it and a NUL do not fit. */
#define UUID_SHOWN 23

void bl_misp_manifest_free(struct bl_misp_manifest *m)
{
	free(m->events);
	*m = (struct bl_misp_manifest){ 0 };
}

/* It becomes a file's name and a part of a URL. */
static bool uuid_valid(const char *s)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	if (strlen(s) != sizeof(shape) - 1)
		return false;
	for (i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == 'x' ? !strchr("0123456789abcdef", s[i])
				    : s[i] != '-')
			return false;
	return true;
}

/* MISP writes it as a string, some who write its feeds as a number. */
static bool read_time(const json_t *v, int64_t *ret)
{
	const char *text = json_string_value(v);
	size_t len = text ? strlen(text) : 0;

	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*ret = json_integer_value(v);
		return true;
	}
	if (!len || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*ret = strtoll(text, NULL, 10);
	return true;
}

/* --- the manifest --------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
	const struct bl_misp_event *x = a, *y = b;

	if (x->timestamp != y->timestamp)
		return x->timestamp > y->timestamp ? -1 : 1;
	return strcmp(x->uuid, y->uuid);
}

static int read_entry(const struct bl_json_doc *doc, const char *uuid,
		      const json_t *v, struct bl_misp_event *ret,
		      struct bl_err *err)
{
	if (!uuid_valid(uuid))
		return bl_json_fail(doc, "", err,
				    "'%.64s' is no UUID of an event", uuid);
	memcpy(ret->uuid, uuid, BL_MISP_UUID);
	if (!read_time(json_object_get(v, "timestamp"), &ret->timestamp))
		return bl_json_fail(doc, uuid, err,
				    "it has no timestamp, seconds since 1970");
	return 0;
}

static int read_entries(const struct bl_json_doc *doc,
			struct bl_misp_manifest *ret, struct bl_err *err)
{
	size_t count = json_object_size(doc->root);
	const char *uuid;
	json_t *v;
	int r;

	if (!json_is_object(doc->root))
		return bl_json_fail(doc, "", err,
				    "a manifest is an object of events");
	if (count > BL_MISP_EVENTS_MAX)
		return bl_err_set(err, -E2BIG,
				  "%s: more than %u events, the limit",
				  doc->name, BL_MISP_EVENTS_MAX);
	ret->events = calloc(count ? count : 1, sizeof(*ret->events));
	if (!ret->events)
		return bl_err_set(err, -ENOMEM, "out of memory");
	json_object_foreach (doc->root, uuid, v) {
		r = read_entry(doc, uuid, v, &ret->events[ret->count], err);
		if (r)
			return r;
		ret->count++;
	}
	qsort(ret->events, ret->count, sizeof(*ret->events), newest_first);
	return 0;
}

int bl_misp_manifest_read(const char *name, const char *text, size_t len,
			  const char *sha256, struct bl_misp_manifest *ret,
			  struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_automisp struct bl_misp_manifest m = { 0 };
	char digest[BL_DIGEST_HEX];
	int r = bl_digest(text, len, digest);

	if (r)
		return bl_err_errno(err, r, "%s: its digest", name);
	if (strcmp(digest, sha256) != 0) {
		bl_err_set(err, -EBADMSG, "%s: its SHA-256 is %s, not %s", name,
			   digest, sha256);
		bl_err_hint(
			err,
			"it is another manifest than the one that was meant: ask those who publish it for its digest, by another way than this one");
		return -EBADMSG;
	}
	r = bl_json_parse(name, text, len, &doc, err);
	if (!r)
		r = read_entries(&doc, &m, err);
	if (r)
		return r;
	*ret = m;
	m = (struct bl_misp_manifest){ 0 };
	return 0;
}

/* --- an event ------------------------------------------------------------- */

/* 1, 0, or -1: neither. What is not there is false. */
static int truth(const json_t *v)
{
	const char *text = json_string_value(v);

	if (!v || json_is_boolean(v))
		return json_is_true(v);
	if (json_is_integer(v))
		return json_integer_value(v) == 1   ? 1
		       : json_integer_value(v) == 0 ? 0
						    : -1;
	if (text && (!strcmp(text, "0") || !strcmp(text, "1")))
		return *text == '1';
	return -1;
}

struct reading {
	const struct bl_json_doc *doc;
	struct bl_iocs *set;
	uint32_t source;
};

static int read_attribute(const struct reading *in, const json_t *v,
			  const char *at, bool deleted, struct bl_err *err)
{
	const char *type = json_string_value(json_object_get(v, "type"));
	const char *value = json_string_value(json_object_get(v, "value"));
	int detect = truth(json_object_get(v, "to_ids"));
	int gone = truth(json_object_get(v, "deleted"));

	if (!type || !value)
		return bl_json_fail(
			in->doc, at, err,
			"an attribute has a type and a value, both strings");
	if (detect < 0 || gone < 0)
		return bl_json_fail(in->doc, at, err,
				    "its %s is neither true nor false",
				    detect < 0 ? "to_ids" : "deleted");
	if (deleted || gone)
		return bl_iocs_skip(in->set, type, BL_IOC_DELETED, err);
	if (!detect)
		return bl_iocs_skip(in->set, type, BL_IOC_NOT_TO_DETECT, err);
	return bl_iocs_add(in->set, type, value, in->source, err);
}

static int list_of(const struct reading *in, const json_t *of, const char *at,
		   const char *key, json_t **ret, struct bl_err *err)
{
	*ret = json_object_get(of, key);
	if (*ret && !json_is_array(*ret))
		return bl_json_fail(in->doc, at, err, "its %s is no list", key);
	return 0;
}

static int read_attributes(const struct reading *in, const json_t *of,
			   const char *at, bool deleted, struct bl_err *err)
{
	char path[BL_JSON_PATH_MAX];
	json_t *list;
	size_t i;
	int r = list_of(in, of, at, "Attribute", &list, err);

	for (i = 0; !r && i < json_array_size(list); i++) {
		snprintf(path, sizeof(path), "%s.Attribute[%zu]", at, i);
		r = read_attribute(in, json_array_get(list, i), path, deleted,
				   err);
	}
	return r;
}

static int read_objects(const struct reading *in, const json_t *event,
			struct bl_err *err)
{
	char path[BL_JSON_PATH_MAX];
	json_t *list;
	size_t i;
	int r = list_of(in, event, "Event", "Object", &list, err);

	for (i = 0; !r && i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		int gone = truth(json_object_get(v, "deleted"));

		snprintf(path, sizeof(path), "Event.Object[%zu]", i);
		if (!json_is_object(v) || gone < 0)
			r = bl_json_fail(
				in->doc, path, err,
				gone < 0
					? "its deleted is neither true nor false"
					: "an object was expected");
		else
			r = read_attributes(in, v, path, gone, err);
	}
	return r;
}

/* It must be what the manifest means: this event, as of that time. */
static int check_event(const struct bl_json_doc *doc, const json_t *event,
		       const struct bl_misp_event *said, struct bl_err *err)
{
	const char *uuid = json_string_value(json_object_get(event, "uuid"));
	int64_t when;

	if (!json_is_object(event))
		return bl_json_fail(doc, "", err, "it has no object Event");
	if (!uuid || strcmp(uuid, said->uuid) != 0)
		return bl_json_fail(doc, "Event.uuid", err,
				    "it is another event, not %s", said->uuid);
	if (!read_time(json_object_get(event, "timestamp"), &when))
		return bl_json_fail(doc, "Event.timestamp", err,
				    "seconds since 1970 were expected");
	if (when != said->timestamp)
		return bl_json_fail(doc, "Event.timestamp", err,
				    "it is of %" PRId64
				    ", %s than the manifest says (%" PRId64 ")",
				    when,
				    when < said->timestamp ? "older" : "newer",
				    said->timestamp);
	return 0;
}

int bl_misp_event_read(const char *name, const char *text, size_t len,
		       const struct bl_misp_event *said, struct bl_iocs *set,
		       struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct reading in = { .doc = &doc, .set = set };
	char id[BL_CONTENT_NAME_MAX];
	const json_t *event;
	int r = bl_json_parse(name, text, len, &doc, err);

	if (r)
		return r;
	event = json_object_get(doc.root, "Event");
	r = check_event(&doc, event, said, err);
	if (r)
		return r;
	snprintf(id, sizeof(id), "misp-%.*s", UUID_SHOWN, said->uuid);
	r = bl_iocs_source(set, id, &in.source, err);
	if (!r)
		r = read_attributes(&in, event, "Event", false, err);
	return r ? r : read_objects(&in, event, err);
}
