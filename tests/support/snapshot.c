/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/snapshot.h"

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

static const struct {
	const char *name;
	size_t offset;
} db_files[] = {
	{ "journal.db", offsetof(struct snapshot, db) },
	{ "journal.db-wal", offsetof(struct snapshot, wal) },
};

static struct bl_buf *part(const struct snapshot *s, size_t i)
{
	return (struct bl_buf *)((char *)(uintptr_t)s + db_files[i].offset);
}

static char *stored(const struct snapshot_host *h, int i)
{
	return bl_path("%s/bundles/%s", h->state_dir, h->bundles[i].digest);
}

void snapshot_free(struct snapshot *s)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(db_files); i++)
		bl_buf_free(part(s, i));
}

void snapshot_take(const struct snapshot_host *h, struct snapshot *s)
{
	ck_assert_int_le(h->bundle_count, SNAPSHOT_BUNDLES_MAX);
	snapshot_free(s);
	fake_kern_calm(h->fake);
	s->fake = *h->fake;
	for (size_t i = 0; i < BL_ARRAY_SIZE(db_files); i++) {
		bl_autofree char *path =
			bl_path("%s/%s", h->state_dir, db_files[i].name);

		/* A file that is not there is an empty one. */
		bl_file_read(path, SIZE_MAX, part(s, i), NULL);
	}
	for (int i = 0; i < h->bundle_count; i++) {
		bl_autofree char *path = stored(h, i);

		s->bundle[i] = !access(path, F_OK);
	}
}

static void restore_bundle(const struct snapshot_host *h,
			   const struct snapshot *s, int i)
{
	const struct bl_buf *raw = &h->bundles[i].raw;
	bl_autofree char *path = stored(h, i);

	if (!s->bundle[i])
		unlink(path);
	else if (access(path, F_OK))
		ck_assert(
			!bl_file_write(path, raw->data, raw->len, 0600, NULL));
}

void snapshot_restore(const struct snapshot_host *h, const struct snapshot *s)
{
	bl_autofree char *shm = bl_path("%s/journal.db-shm", h->state_dir);

	unlink(shm);
	*h->fake = s->fake;
	for (size_t i = 0; i < BL_ARRAY_SIZE(db_files); i++) {
		bl_autofree char *path =
			bl_path("%s/%s", h->state_dir, db_files[i].name);
		bl_autofclose FILE *f = fopen(path, "w");
		const struct bl_buf *b = part(s, i);

		ck_assert_ptr_nonnull(f);
		ck_assert_uint_eq(fwrite(bl_buf_str(b), 1, b->len, f), b->len);
	}
	for (int i = 0; i < h->bundle_count; i++)
		restore_bundle(h, s, i);
}
