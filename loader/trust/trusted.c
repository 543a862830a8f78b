/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/trusted.h"

#include <assert.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"

void bl_trusted_free(struct bl_trusted *t)
{
	bl_meta_free(&t->root);
	bl_meta_free(&t->seen_timestamp);
	bl_meta_free(&t->seen_snapshot);
	bl_meta_free(&t->timestamp);
	bl_meta_free(&t->snapshot);
	bl_meta_free(&t->targets);
	while (t->delegated_count)
		bl_meta_free(&t->delegated[--t->delegated_count].meta);
	*t = (struct bl_trusted){ 0 };
}

static void replace(struct bl_meta *old, struct bl_meta *new)
{
	bl_meta_free(old);
	*old = *new;
	*new = (struct bl_meta){ 0 };
}

static int too_long(const char *what, size_t len, size_t max,
		    struct bl_err *err)
{
	return bl_err_set(err, BL_TRUST_ENDLESS,
			  "%s: %zu bytes came, and it has at most %zu", what,
			  len, max);
}

/* 5.4.4, 5.5.6, 5.6.5: strictly after the beginning of the update. */
static int check_fresh(const struct bl_trusted *t, const struct bl_meta *m,
		       struct bl_err *err)
{
	char when[BL_TIME_ISO_LEN];

	if (m->expires_s > t->now_s)
		return 0;
	return bl_err_set(err, BL_TRUST_EXPIRED,
			  "%s: version %lld expired at %s", m->doc.name,
			  (long long)m->version,
			  bl_clock_iso(m->expires_s * 1000, when));
}

int bl_trusted_root(struct bl_trusted *t, const void *data, size_t len,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	int64_t next = t->root.version + 1;
	int r;

	if (len > BL_META_ROOT_MAX)
		return too_long("root.json", len, BL_META_ROOT_MAX, err);
	r = bl_meta_parse("root.json", data, len, BL_META_ROOT, &m, err);
	if (!r && t->root.body)
		r = bl_meta_signed_by(&m, &t->root, "root", err);
	if (!r)
		r = bl_meta_signed_by(&m, &m, "root", err);
	if (r < 0)
		return r;
	if (t->root.body && m.version != next)
		return bl_err_set(
			err,
			m.version < next ? BL_TRUST_ROLLBACK : BL_TRUST_GAP,
			"root.json: version %lld was expected, this is %lld",
			(long long)next, (long long)m.version);
	replace(&t->root, &m);
	return 0;
}

void bl_trusted_seen(struct bl_trusted *t, enum bl_meta_kind kind,
		     const void *data, size_t len)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };

	assert(kind == BL_META_TIMESTAMP || kind == BL_META_SNAPSHOT);
	if (bl_meta_parse("", data, len, kind, &m, NULL) == 0 &&
	    bl_meta_signed_by(&m, &t->root, bl_meta_kind_name(kind), NULL) == 0)
		replace(kind == BL_META_TIMESTAMP ? &t->seen_timestamp
						  : &t->seen_snapshot,
			&m);
}

static int older(const char *file, const char *what, int64_t seen, int64_t now,
		 struct bl_err *err)
{
	return bl_err_set(
		err, BL_TRUST_ROLLBACK,
		"%s: version %lld of %s was seen on this host before, this is %lld",
		file, (long long)seen, what, (long long)now);
}

/* 5.4.3; an equal version is no news, and the one that was seen stays. */
static int check_timestamp(const struct bl_trusted *t, const struct bl_meta *m,
			   struct bl_err *err)
{
	const struct bl_meta *seen = &t->seen_timestamp;
	struct bl_meta_file was = { 0 }, is = { 0 };

	if (!seen->body)
		return 0;
	if (m->version < seen->version)
		return older(m->doc.name, "it", seen->version, m->version, err);
	bl_meta_file(seen, "snapshot.json", &was);
	bl_meta_file(m, "snapshot.json", &is);
	if (is.version < was.version)
		return older(m->doc.name, "snapshot.json", was.version,
			     is.version, err);
	return 0;
}

int bl_trusted_timestamp(struct bl_trusted *t, const void *data, size_t len,
			 struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	const struct bl_meta *seen = &t->seen_timestamp;
	int r = check_fresh(t, &t->root, err); /* 5.3.10 */

	if (!r && len > BL_META_TIMESTAMP_MAX)
		r = too_long("timestamp.json", len, BL_META_TIMESTAMP_MAX, err);
	if (!r)
		r = bl_meta_parse("timestamp.json", data, len,
				  BL_META_TIMESTAMP, &m, err);
	if (!r)
		r = bl_meta_signed_by(&m, &t->root, "timestamp", err);
	if (!r)
		r = check_timestamp(t, &m, err);
	if (r < 0)
		return r;
	if (seen->body && m.version == seen->version) {
		r = check_fresh(t, seen, err);
		if (!r)
			replace(&t->timestamp, &t->seen_timestamp);
		return r;
	}
	r = check_fresh(t, &m, err);
	if (!r)
		replace(&t->timestamp, &m);
	return r;
}

/* Length and hash, as the role above states them (5.5.2, 5.6.2). */
static int check_bytes(const char *file, const struct bl_meta_file *f,
		       size_t max, const void *data, size_t len,
		       struct bl_err *err)
{
	char hex[BL_DIGEST_HEX];

	if (f->length >= 0 && (size_t)f->length < max)
		max = (size_t)f->length;
	if (len > max)
		return too_long(file, len, max, err);
	if (f->length >= 0 && len != (size_t)f->length)
		return bl_err_set(
			err, BL_TRUST_MIX,
			"%s: it has %zu bytes, and %lld by the role above it",
			file, len, (long long)f->length);
	if (bl_digest(data, len, hex) < 0)
		return bl_err_set(err, -EIO, "libsodium cannot start");
	if (f->sha256 && strcmp(hex, f->sha256) != 0)
		return bl_err_set(
			err, BL_TRUST_MIX,
			"%s: its SHA-256 is not the one that the role above it states",
			file);
	return 0;
}

static int check_version(const struct bl_meta *m, const struct bl_meta_file *f,
			 struct bl_err *err)
{
	if (m->version == f->version)
		return 0;
	return bl_err_set(
		err, BL_TRUST_MIX,
		"%s: this is version %lld, and %lld by the role above it",
		m->doc.name, (long long)m->version, (long long)f->version);
}

/* 5.5.5: no file may have gone or be older. */
static int check_snapshot(const struct bl_trusted *t, const struct bl_meta *m,
			  struct bl_err *err)
{
	json_t *files = json_object_get(t->seen_snapshot.body, "meta"), *v;
	struct bl_meta_file was = { 0 }, is = { 0 };
	const char *name;

	json_object_foreach (files, name, v) {
		bl_meta_file(&t->seen_snapshot, name, &was);
		if (!bl_meta_file(m, name, &is))
			return bl_err_set(
				err, BL_TRUST_ROLLBACK,
				"snapshot.json: %s was in it before and is gone",
				name);
		if (is.version < was.version)
			return older("snapshot.json", name, was.version,
				     is.version, err);
	}
	return 0;
}

int bl_trusted_expect(const struct bl_trusted *t, const char *role,
		      struct bl_meta_file *ret, struct bl_err *err)
{
	bool snapshot = strcmp(role, "snapshot") == 0;
	bl_autofree char *file = bl_path("%s.json", role);

	if (!file)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (bl_meta_file(snapshot ? &t->timestamp : &t->snapshot, file, ret))
		return 0;
	return bl_err_set(err, BL_TRUST_MIX,
			  "%s: the snapshot does not speak of it", file);
}

int bl_trusted_snapshot(struct bl_trusted *t, const void *data, size_t len,
			struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	struct bl_meta_file f;
	int r;

	assert(t->timestamp.body);
	r = bl_trusted_expect(t, "snapshot", &f, err);
	if (!r)
		r = check_bytes("snapshot.json", &f, BL_META_SNAPSHOT_MAX, data,
				len, err);
	if (!r)
		r = bl_meta_parse("snapshot.json", data, len, BL_META_SNAPSHOT,
				  &m, err);
	if (!r)
		r = bl_meta_signed_by(&m, &t->root, "snapshot", err);
	if (!r)
		r = check_version(&m, &f, err);
	if (!r)
		r = check_snapshot(t, &m, err);
	if (!r)
		r = check_fresh(t, &m, err);
	if (!r)
		replace(&t->snapshot, &m);
	return r;
}

const struct bl_meta *bl_trusted_role(const struct bl_trusted *t,
				      const struct bl_meta *by,
				      const char *role)
{
	if (!by)
		return t->targets.body ? &t->targets : NULL;
	for (size_t i = 0; i < t->delegated_count; i++)
		if (t->delegated[i].by == by->body &&
		    strcmp(t->delegated[i].name, role) == 0)
			return &t->delegated[i].meta;
	return NULL;
}

/* The name as @by has it, which lives as long as the trusted set. */
static const char *name_in(const struct bl_meta *by, const char *role)
{
	const char *name;
	bool terminating;

	for (size_t i = 0; (name = bl_meta_delegation(by, i, &terminating));
	     i++)
		if (strcmp(name, role) == 0)
			return name;
	return NULL;
}

static int take(struct bl_trusted *t, const char *role,
		const struct bl_meta *by, struct bl_meta *m, struct bl_err *err)
{
	if (!by) {
		replace(&t->targets, m);
		return 0;
	}
	if (t->delegated_count == BL_TRUSTED_ROLES_MAX)
		return bl_err_set(err, BL_TRUST_UNLISTED,
				  "%s: more than %d roles are delegated to",
				  m->doc.name, BL_TRUSTED_ROLES_MAX);
	t->delegated[t->delegated_count].by = by->body;
	t->delegated[t->delegated_count].name = name_in(by, role);
	t->delegated[t->delegated_count++].meta = *m;
	*m = (struct bl_meta){ 0 };
	return 0;
}

int bl_trusted_targets(struct bl_trusted *t, const char *role,
		       const struct bl_meta *by, const void *data, size_t len,
		       struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	bl_autofree char *file = bl_path("%s.json", role);
	struct bl_meta_file f;
	int r;

	assert(t->snapshot.body);
	if (!file)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (bl_trusted_role(t, by, role))
		return 0;
	r = bl_trusted_expect(t, role, &f, err);
	if (!r)
		r = check_bytes(file, &f, BL_META_TARGETS_MAX, data, len, err);
	if (!r)
		r = bl_meta_parse(file, data, len, BL_META_TARGETS, &m, err);
	if (!r)
		r = bl_meta_signed_by(&m, by ? by : &t->root, role, err);
	if (!r)
		r = check_version(&m, &f, err);
	if (!r)
		r = check_fresh(t, &m, err);
	return r ? r : take(t, role, by, &m, err);
}

int bl_trusted_package(const struct bl_meta_target *target, const void *data,
		       size_t len, struct bl_err *err)
{
	char hex[BL_DIGEST_HEX];

	if (len > (size_t)target->length)
		return too_long(target->path, len, (size_t)target->length, err);
	if (len < (size_t)target->length)
		return bl_err_set(err, BL_TRUST_PACKAGE,
				  "%s: it has %zu bytes, and %lld were signed",
				  target->path, len, (long long)target->length);
	if (bl_digest(data, len, hex) < 0)
		return bl_err_set(err, -EIO, "libsodium cannot start");
	if (strcmp(hex, target->sha256) != 0)
		return bl_err_set(
			err, BL_TRUST_PACKAGE,
			"%s: its SHA-256 is %s, and another one was signed",
			target->path, hex);
	return 0;
}
