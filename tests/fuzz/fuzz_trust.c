/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata that is taken has a version, names that stay below their folder, and
 * a canonical form that means the same when it is read again. The first byte
 * says as what it is read.
 */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "loader/trust/canon.h"
#include "loader/trust/metadata.h"
#include "loader/trust/order.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_targets(const struct bl_meta *m)
{
	struct bl_meta_target target;
	const char *path, *role;
	bool terminating;
	json_t *v;

	json_object_foreach (json_object_get(m->body, "targets"), path, v) {
		FUZZ_CHECK(bl_meta_target(m, path, &target));
		FUZZ_CHECK(!strstr(path, "..") || !strstr(path, "../"));
		FUZZ_CHECK(*path != '/' && target.length >= 0);
		FUZZ_CHECK(bl_digest_valid(target.sha256));
	}
	for (size_t i = 0; (role = bl_meta_delegation(m, i, &terminating));
	     i++) {
		FUZZ_CHECK(bl_name_valid(role));
		bl_meta_delegates(m, i, "a/b.c");
		bl_meta_signed_by(m, m, role, NULL);
	}
}

static void check_files(const struct bl_meta *m)
{
	struct bl_meta_file file;
	const char *name;
	json_t *v;

	json_object_foreach (json_object_get(m->body, "meta"), name, v) {
		FUZZ_CHECK(bl_name_valid(name));
		FUZZ_CHECK(bl_meta_file(m, name, &file));
		FUZZ_CHECK(file.version > 0 && file.length >= -1);
		FUZZ_CHECK(!file.sha256 || bl_digest_valid(file.sha256));
	}
}

/* It is for one host, of one rollout, of one digest; and says the same once more
 * when it is signed from what was read. */
static void check_order(const struct bl_meta *m)
{
	struct bl_told o;

	bl_told_read(m, &o);
	FUZZ_CHECK(bl_name_valid(o.host) && bl_name_valid(o.rollout));
	FUZZ_CHECK(bl_digest_valid(o.digest) && o.probation_ms >= 0);
	FUZZ_CHECK(o.version == m->version && o.expires_s == m->expires_s);
}

/* What is signed is the canonical form, so it must be one form of one value. */
static void check_canon(const struct bl_meta *m)
{
	json_t *again = json_loadb(m->text.data, m->text.len,
				   JSON_REJECT_DUPLICATES, NULL);
	bl_autobuf struct bl_buf text = { 0 };

	/* Control characters are not escaped in it: it need not be JSON. */
	if (!again)
		return;
	FUZZ_CHECK(bl_canon(again, &text, NULL) == 0);
	FUZZ_CHECK(text.len == m->text.len &&
		   memcmp(text.data, m->text.data, text.len) == 0);
	json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	struct bl_err err = { 0 };
	enum bl_meta_kind kind;
	int r;

	if (!size)
		return 0;
	kind = data[0] % BL_META_KINDS;
	r = bl_meta_parse("m.json", data + 1, size - 1, kind, &m, &err);
	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(!m.body && bl_trust_fault_name(r));
		return 0;
	}
	fuzz_accepted++;
	FUZZ_CHECK(m.kind == kind && m.version > 0);
	check_canon(&m);
	if (kind == BL_META_TARGETS)
		check_targets(&m);
	else if (kind == BL_META_ORDER)
		check_order(&m);
	else if (kind != BL_META_ROOT)
		check_files(&m);
	else
		bl_meta_signed_by(&m, &m, "root", NULL);
	return 0;
}
