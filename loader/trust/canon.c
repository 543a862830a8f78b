/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/canon.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/trust/fault.h"

/* All of these: 0, -ENOMEM, or BL_TRUST_MALFORMED for a fraction. The depth is
 * that of a document that was parsed or built here: BL_JSON_DEPTH_MAX. */
static int value(const json_t *v, struct bl_buf *out);

static int text(const char *s, size_t len, struct bl_buf *out)
{
	int r = bl_buf_add(out, "\"", 1);

	while (!r && len) {
		size_t plain = 0;

		while (plain < len && s[plain] != '"' && s[plain] != '\\')
			plain++;
		r = bl_buf_add(out, s, plain);
		s += plain;
		len -= plain;
		if (!r && len) {
			char escaped[2] = { '\\', *s };

			r = bl_buf_add(out, escaped, 2);
			s++;
			len--;
		}
	}
	return r ? r : bl_buf_add(out, "\"", 1);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int object(const json_t *v, struct bl_buf *out)
{
	size_t count = json_object_size(v), i = 0;
	bl_autofree const char **keys = calloc(count + 1, sizeof(*keys));
	const char *key;
	json_t *member;
	int r;

	if (!keys)
		return -ENOMEM;
	json_object_foreach ((json_t *)(uintptr_t)v, key, member)
		keys[i++] = key;
	qsort(keys, count, sizeof(*keys), by_bytes);
	r = bl_buf_add(out, "{", 1);
	for (i = 0; !r && i < count; i++) {
		if (i)
			r = bl_buf_add(out, ",", 1);
		if (!r)
			r = text(keys[i], strlen(keys[i]), out);
		if (!r)
			r = bl_buf_add(out, ":", 1);
		if (!r)
			r = value(json_object_get(v, keys[i]), out);
	}
	return r ? r : bl_buf_add(out, "}", 1);
}

static int array(const json_t *v, struct bl_buf *out)
{
	int r = bl_buf_add(out, "[", 1);

	for (size_t i = 0; !r && i < json_array_size(v); i++) {
		if (i)
			r = bl_buf_add(out, ",", 1);
		if (!r)
			r = value(json_array_get(v, i), out);
	}
	return r ? r : bl_buf_add(out, "]", 1);
}

static int value(const json_t *v, struct bl_buf *out)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return object(v, out);
	case JSON_ARRAY:
		return array(v, out);
	case JSON_STRING:
		return text(json_string_value(v), json_string_length(v), out);
	case JSON_INTEGER:
		return bl_buf_printf(out, "%lld",
				     (long long)json_integer_value(v));
	case JSON_TRUE:
		return bl_buf_add(out, "true", 4);
	case JSON_FALSE:
		return bl_buf_add(out, "false", 5);
	case JSON_NULL:
		return bl_buf_add(out, "null", 4);
	case JSON_REAL:
		break;
	}
	return BL_TRUST_MALFORMED;
}

int bl_canon(const json_t *v, struct bl_buf *ret, struct bl_err *err)
{
	size_t before = ret->len;
	int r = value(v, ret);

	if (!r)
		return 0;
	if (ret->data) {
		ret->len = before;
		ret->data[before] = '\0';
	}
	if (r == BL_TRUST_MALFORMED)
		return bl_err_set(
			err, r,
			"a number with a fraction has no canonical form: nothing that is signed may have one");
	return bl_err_set(err, r, "out of memory");
}

int bl_canon_digest(const json_t *v, char ret[static BL_DIGEST_HEX],
		    struct bl_err *err)
{
	bl_autobuf struct bl_buf out = { 0 };
	int r = bl_canon(v, &out, err);

	if (!r && bl_digest(out.data, out.len, ret) < 0)
		r = bl_err_set(err, -EIO, "libsodium cannot start");
	return r;
}
