/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/credentials.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"

/* Whether @key is @host, @host/@name, or that up to a slash. */
static bool key_is_for(const char *key, const char *host, const char *name)
{
	size_t len = strlen(host);

	if (strncmp(key, host, len) != 0)
		return false;
	if (!key[len])
		return true;
	if (key[len] != '/')
		return false;
	key += len + 1;
	len = strlen(key);
	return len && strncmp(name, key, len) == 0 &&
	       (!name[len] || name[len] == '/');
}

static bool base64_valid(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/");

	return len && strspn(text + len, "=") <= 2 &&
	       !text[len + strspn(text + len, "=")];
}

int bl_credentials_read(const char *file, const char *text, size_t len,
			const char *host, const char *name, struct bl_buf *ret,
			struct bl_err *err)
{
	static const struct bl_json_field auths_field = {
		"auths", BL_JSON_OBJECT, false, 0, 0, 0
	};
	static const struct bl_json_field auth_field = {
		"auth", BL_JSON_STRING, false, 0, 0, BL_CREDENTIALS_MAX
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	json_t *auths = NULL, *entry, *best = NULL;
	const char *key, *best_key = "", *auth = "";
	int r = bl_json_parse(file, text, len, &doc, err);

	if (!r)
		r = bl_json_read_known(&doc, doc.root, "", &auths_field, 1,
				       &auths, err);
	if (r < 0)
		return r;
	json_object_foreach (auths, key, entry) {
		if (!key_is_for(key, host, name) ||
		    strlen(key) <= strlen(best_key))
			continue;
		best = entry;
		best_key = key;
	}
	if (!best)
		return 0;
	r = bl_json_read_known(&doc, best, "auths", &auth_field, 1, &auth, err);
	if (r < 0 || !*auth)
		return r;
	if (!base64_valid(auth))
		return bl_err_set(err, -EBADMSG,
				  "%s: auth of '%s' is not base64", file,
				  best_key);
	return bl_buf_add(ret, auth, strlen(auth)) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

static char *below(const char *variable, const char *file)
{
	const char *dir = getenv(variable);

	return bl_path("%s/%s", dir && *dir ? dir : "/nonexistent", file);
}

int bl_credentials_find(const char *file, const char *host, const char *name,
			struct bl_buf *ret, struct bl_err *err)
{
	const char *named = getenv("REGISTRY_AUTH_FILE");
	bl_autofree char *run =
		below("XDG_RUNTIME_DIR", "containers/auth.json");
	bl_autofree char *home = below("HOME", ".config/containers/auth.json");
	bl_autofree char *docker = below("HOME", ".docker/config.json");
	const char *const usual[] = { run, home, docker };
	bl_autobuf struct bl_buf text = { 0 };

	if (!run || !home || !docker)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (!file && named && *named)
		file = named;
	for (size_t i = 0; !file && i < BL_ARRAY_SIZE(usual); i++)
		if (access(usual[i], F_OK) == 0)
			file = usual[i];
	if (!file)
		return 0;
	/* One that was not asked for and may not be read is nobody's fault. */
	if (bl_file_read_regular(file, BL_CREDENTIALS_FILE_MAX, &text, err) < 0)
		return bl_err_wrap(err, -EACCES, "credentials for %s", host);
	return bl_credentials_read(file, bl_buf_str(&text), text.len, host,
				   name, ret, err);
}
