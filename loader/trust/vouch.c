/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/vouch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/fleet.h"
#include "loader/trust/tuf.h"

int bl_vouch_wanted(const char *dir, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_ROOT_FILE, dir);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(path, F_OK) == 0)
		return 1;
	return errno == ENOENT
		       ? 0
		       : bl_err_errno(err, -errno, "cannot look for %s", path);
}

/* The entry with these bytes in the release's list. A bundle may be listed
 * under several names: the one with the highest serial counts. */
static bool find(const struct bl_meta *targets, const char *digest,
		 struct bl_meta_target *ret)
{
	struct bl_meta_target t;
	const char *path;
	bool found = false;
	json_t *v;

	json_object_foreach (json_object_get(targets->body, "targets"), path,
			     v) {
		bl_meta_target(targets, path, &t);
		if (strcmp(t.sha256, digest) != 0 ||
		    (found && bl_fleet_serial(&t) <= bl_fleet_serial(ret)))
			continue;
		*ret = t;
		found = true;
	}
	return found;
}

static int judge(const struct bl_meta *targets, const char *digest, size_t len,
		 const char *live, struct bl_err *err)
{
	struct bl_meta_target new, old;

	if (!find(targets, digest, &new) || (size_t) new.length != len)
		return bl_err_set(err, BL_TRUST_UNLISTED,
				  "the release keys have not signed %.12s",
				  digest);
	if (live && find(targets, live, &old) &&
	    bl_fleet_serial(&new) < bl_fleet_serial(&old))
		return bl_err_set(
			err, BL_TRUST_ROLLBACK,
			"%s has serial %lld, and what is live, %s, has %lld",
			new.path, (long long)bl_fleet_serial(&new), old.path,
			(long long)bl_fleet_serial(&old));
	return 0;
}

int bl_vouch(const char *dir, const char *digest, size_t len, const char *live,
	     int64_t now_s, struct bl_err *err)
{
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	int r = bl_tuf_open(dir, &tuf, err);

	if (!r)
		r = bl_tuf_offline(&tuf, now_s, err);
	if (!r)
		r = judge(&tuf.t.targets, digest, len, live, err);
	if (r == -ENOENT || r == BL_TRUST_EXPIRED)
		bl_err_hint(err, "belay trust status %s --repo REPO", dir);
	else if (bl_trust_fault_words(r))
		bl_err_hint(err, "%s", bl_trust_fault_words(r));
	return r;
}
