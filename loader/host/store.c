/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/state.h"

/* Of the live generation and of those before it. */
#define KEEP_BUNDLES 3

static char *bundle_path(const struct bl_host *h, const char *digest)
{
	return bl_path("%s/bundles/%s", h->state_dir, digest);
}

int bl_store_keep(struct bl_host *h, const struct bl_bundle *b,
		  struct bl_err *err)
{
	bl_autofree char *dir = bl_path("%s/bundles", h->state_dir);
	bl_autofree char *path = bundle_path(h, b->digest);
	int r;

	if (!dir || !path)
		return bl_err_errno(err, -ENOMEM, "keep the bundle");
	r = bl_file_mkdirs(dir, 0700, err);
	if (!r)
		r = bl_file_write(path, b->raw.data, b->raw.len, 0600, err);
	/* The folder itself may be new. */
	if (!r)
		r = bl_file_sync_dir(h->state_dir, err);
	return r ? bl_err_wrap(err, r, "keep the bundle for a way back") : 0;
}

int bl_store_load(struct bl_host *h, const char *digest, struct bl_bundle *ret,
		  struct bl_err *err)
{
	bl_autofree char *path = bundle_path(h, digest);
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	int r;

	if (!path)
		return bl_err_errno(err, -ENOMEM, "bundle %s", digest);
	r = bl_bundle_open(path, &b, err);
	if (r)
		return r;
	if (strcmp(b.digest, digest) != 0)
		return bl_err_set(err, -EBADMSG,
				  "%s: the file has changed: its digest is %s",
				  path, b.digest);
	*ret = b;
	b = (struct bl_bundle){ 0 };
	return 0;
}

/* The digests that must stay. Returns how many, or -errno. */
static int wanted(struct bl_host *h, char ret[KEEP_BUNDLES][BL_DIGEST_HEX])
{
	struct bl_journal_txn t;
	int count = 0, r;

	for (r = bl_journal_live(h->journal, &t, NULL);
	     r > 0 && count < KEEP_BUNDLES;
	     r = bl_journal_get(h->journal, t.parent, &t, NULL))
		memcpy(ret[count++], t.row.digest, BL_DIGEST_HEX);
	return r < 0 ? r : count;
}

/* Whether @name is what a write of a bundle leaves that died: its digest and
 * more. The host's lock is ours, so nobody writes now. */
static bool left_over(const char *name)
{
	char digest[BL_DIGEST_HEX];

	if (strlen(name) < sizeof(digest) || name[sizeof(digest) - 1] != '.')
		return false;
	memcpy(digest, name, sizeof(digest) - 1);
	digest[sizeof(digest) - 1] = '\0';
	return bl_digest_valid(digest);
}

bool bl_store_ours(const char *name)
{
	return bl_digest_valid(name) || left_over(name);
}

void bl_store_prune(struct bl_host *h)
{
	bl_autofree char *dir_path = bl_path("%s/bundles", h->state_dir);
	bl_autoclosedir DIR *dir = dir_path ? opendir(dir_path) : NULL;
	char keep[KEEP_BUNDLES][BL_DIGEST_HEX];
	int count = wanted(h, keep);
	struct dirent *e;

	while (dir && count >= 0 && (e = readdir(dir))) {
		bool needed = !bl_store_ours(e->d_name);

		for (int i = 0; i < count; i++)
			needed |= !strcmp(keep[i], e->d_name);
		if (!needed)
			unlinkat(dirfd(dir), e->d_name, 0);
	}
}
