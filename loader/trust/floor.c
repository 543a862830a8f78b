/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/floor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/bundle/digest.h"

#define FORMAT 1

int64_t bl_floor_serial(const json_t *serials, const char *digest)
{
	return json_integer_value(json_object_get(serials, digest));
}

static int read_file(const char *path, json_t **ret, struct bl_err *err)
{
	struct parts {
		int64_t format;
		json_t *serials;
	};
	static const struct bl_json_field fields[] = {
		{ "format", BL_JSON_INT, true, offsetof(struct parts, format),
		  FORMAT, FORMAT },
		{ "serials", BL_JSON_OBJECT, true,
		  offsetof(struct parts, serials), 0, 0 },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct parts v = { .serials = NULL };
	const char *digest;
	json_t *serial;
	int r = bl_json_load(path, BL_FLOOR_FILE_BYTES, &doc, err);

	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &v, err);
	if (r < 0)
		return r;
	json_object_foreach (v.serials, digest, serial)
		if (!bl_digest_valid(digest) || json_integer_value(serial) <= 0)
			return bl_json_fail(&doc, "serials", err,
					    "'%s' is no digest with its serial",
					    digest);
	*ret = json_incref(v.serials);
	return 0;
}

int bl_floor_load(const char *dir, json_t **ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_FLOOR_FILE, dir);
	json_t *none;

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return read_file(path, ret, err);
	none = json_object();
	if (!none)
		return bl_err_set(err, -ENOMEM, "out of memory");
	*ret = none;
	return 0;
}

/* L2. */
static void drop_lowest(json_t *serials, const char *digest, const char *live)
{
	const char *name, *lowest = NULL;
	json_t *v;

	json_object_foreach (serials, name, v) {
		if (strcmp(name, digest) == 0 ||
		    (live && strcmp(name, live) == 0))
			continue;
		if (!lowest ||
		    json_integer_value(v) < bl_floor_serial(serials, lowest))
			lowest = name;
	}
	if (lowest)
		json_object_del(serials, lowest);
}

bool bl_floor_note(json_t *serials, const char *digest, int64_t serial,
		   const char *live)
{
	if (serial <= bl_floor_serial(serials, digest))
		return false;
	json_object_set_new(serials, digest, json_integer(serial));
	if (json_object_size(serials) > BL_FLOOR_MAX)
		drop_lowest(serials, digest, live);
	return true;
}

int bl_floor_save(const char *dir, const json_t *serials, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_FLOOR_FILE, dir);
	json_t *all =
		json_pack("{s:i, s:O}", "format", FORMAT, "serials", serials);
	bl_autofree char *text = all ? bl_json_dump(all) : NULL;

	if (!path || !text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, text, strlen(text), 0644, err);
}
