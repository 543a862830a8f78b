/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/obey.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/trust/fleet.h"
#include "loader/trust/tuf.h"
#include "loader/trust/vouch.h"

#define FORMAT 1

/* What was noted; nothing if there is no file. */
static int load(const char *dir, struct bl_told_to *to, struct bl_err *err)
{
	struct parts {
		int64_t format, version;
		bool ended;
	};
	static const struct bl_json_field fields[] = {
		{ "format", BL_JSON_INT, true, offsetof(struct parts, format),
		  FORMAT, FORMAT },
		{ "version", BL_JSON_INT, true, offsetof(struct parts, version),
		  1, BL_META_VERSION_MAX },
		{ "ended", BL_JSON_BOOL, true, offsetof(struct parts, ended), 0,
		  0 },
	};
	bl_autofree char *path = bl_path("%s/" BL_OBEY_FILE, dir);
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct parts v = { 0 };
	int r;

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	r = bl_json_load(path, BL_OBEY_FILE_BYTES, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &v, err);
	if (r < 0)
		return r;
	to->version = v.version;
	to->ended = v.ended;
	return 0;
}

static int write_file(const char *dir, int64_t version, bool ended,
		      struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_OBEY_FILE, dir);
	bl_autofree char *text = bl_json_dump(
		json_pack("{s:i, s:I, s:b}", "format", FORMAT, "version",
			  (json_int_t)version, "ended", ended));

	if (!path || !text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, text, strlen(text), 0644, err);
}

/* What is there and newer stays: two threads of an agent may write, the one that
 * is told to go back and the one that ends what it did. */
static int save(const char *dir, int64_t version, bool ended,
		struct bl_err *err)
{
	bl_autoclose int fd = -1;
	struct bl_told_to now = { .version = 0 };
	int r = bl_trust_state_lock(dir, &fd, err);

	if (!r)
		r = load(dir, &now, err);
	if (r < 0 || now.version > version ||
	    (now.version == version && now.ended))
		return r;
	return write_file(dir, version, ended, err);
}

/* To go back, by what it says itself; it is looked at again when it is known who
 * says so. */
static bool goes_back(const char *proof)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	struct bl_told told;

	if (!proof || bl_meta_parse("", proof, strlen(proof), BL_META_ORDER, &m,
				    NULL) < 0)
		return false;
	bl_told_read(&m, &told);
	return told.rollback;
}

static int unsigned_order(struct bl_err *err)
{
	bl_err_set(
		err, BL_TRUST_SIGNATURE,
		"the order is not signed, and this host's release keys name a fleet key for that");
	bl_err_hint(err, "belay controller --fleet-key FILE");
	return BL_TRUST_SIGNATURE;
}

static int explain(const char *dir, int r, struct bl_err *err)
{
	const char *words = bl_trust_fault_words(r);

	if (r == -ENOENT || (r == BL_TRUST_EXPIRED && err && !err->hint[0]))
		bl_err_hint(err, "belay trust status %s --repo REPO", dir);
	else if (r < 0 && words && err && !err->hint[0])
		bl_err_hint(err, "%s", words);
	return r;
}

int bl_obey(const char *dir, const char *proof, const char *host,
	    int64_t now_ms, struct bl_told *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	struct bl_told_to to = { .host = host, .now_ms = now_ms };
	size_t keys, threshold;
	int r = bl_vouch_wanted(dir, err);

	if (r <= 0)
		return r;
	r = bl_tuf_open(dir, &tuf, err);
	if (!r)
		r = bl_tuf_offline(&tuf, goes_back(proof) ? 0 : now_ms / 1000,
				   err);
	if (r < 0)
		return explain(dir, r, err);
	if (!bl_meta_role(&tuf.t.targets, BL_FLEET_ROLE, &keys, &threshold))
		return 0;
	if (!proof)
		return unsigned_order(err);
	r = load(dir, &to, err);
	if (!r)
		r = bl_told_check(&tuf.t.targets, &to, proof, strlen(proof),
				  ret, err);
	return r < 0 ? explain(dir, r, err) : 1;
}

int bl_obey_begin(const char *dir, const struct bl_told *order,
		  struct bl_err *err)
{
	return save(dir, order->version, false, err);
}

int bl_obey_end(const char *dir, const struct bl_told *order,
		struct bl_err *err)
{
	return save(dir, order->version, true, err);
}
