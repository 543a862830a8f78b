/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/vouch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/fleet.h"
#include "loader/trust/floor.h"
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

/* What is live is not judged by the list alone: it may have been withdrawn. */
static int64_t serial_of_live(const struct bl_meta *targets,
			      const json_t *serials, const char *live)
{
	struct bl_meta_target t;
	int64_t noted = bl_floor_serial(serials, live);
	int64_t listed = find(targets, live, &t) ? bl_fleet_serial(&t) : 0;

	return noted > listed ? noted : listed;
}

static int look_up(const struct bl_meta *targets, const char *digest,
		   size_t len, struct bl_meta_target *ret, struct bl_err *err)
{
	if (find(targets, digest, ret) && (size_t)ret->length == len)
		return 0;
	return bl_err_set(err, BL_TRUST_UNLISTED,
			  "the release keys have not signed %.12s", digest);
}

static int judge(const struct bl_meta *targets, int64_t floor,
		 const char *digest, size_t len, struct bl_meta_target *ret,
		 struct bl_err *err)
{
	int r = look_up(targets, digest, len, ret, err);

	if (r < 0)
		return r;
	if (bl_fleet_serial(ret) < floor)
		return bl_err_set(
			err, BL_TRUST_ROLLBACK,
			"%s has serial %lld, and what is live was released with %lld",
			ret->path, (long long)bl_fleet_serial(ret),
			(long long)floor);
	return 0;
}

/* V3 with L1 of floor.h: yes is said when it is noted. */
static int judge_and_note(const char *dir, const struct bl_meta *targets,
			  const char *digest, size_t len, const char *live,
			  struct bl_err *err)
{
	bl_autojson json_t *serials = NULL;
	struct bl_meta_target new;
	int64_t floor = 0;
	bool news = false;
	int r = bl_floor_load(dir, &serials, err);

	if (r < 0)
		return r;
	if (live)
		floor = serial_of_live(targets, serials, live);
	r = judge(targets, floor, digest, len, &new, err);
	if (r < 0)
		return r;
	if (live)
		news = bl_floor_note(serials, live, floor, live);
	news |= bl_floor_note(serials, digest, bl_fleet_serial(&new), live);
	return news ? bl_floor_save(dir, serials, err) : 0;
}

int bl_vouch(const char *dir, const char *digest, size_t len, const char *live,
	     int64_t now_s, struct bl_err *err)
{
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	int r = bl_tuf_open(dir, &tuf, err);

	if (!r)
		r = bl_tuf_offline(&tuf, now_s, err);
	if (!r)
		r = judge_and_note(dir, &tuf.t.targets, digest, len, live, err);
	if (r == -ENOENT || r == BL_TRUST_EXPIRED)
		bl_err_hint(err, "belay trust status %s --repo REPO", dir);
	else if (bl_trust_fault_words(r))
		bl_err_hint(err, "%s", bl_trust_fault_words(r));
	return r;
}

int bl_vouch_listed(const char *dir, const char *digest, size_t len,
		    int64_t now_s, struct bl_err *err)
{
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };
	struct bl_meta_target ignored;
	int r = bl_tuf_open(dir, &tuf, err);

	if (!r)
		r = bl_tuf_offline(&tuf, now_s, err);
	return r ? r : look_up(&tuf.t.targets, digest, len, &ignored, err);
}

int bl_vouch_noted(const char *dir, const char *digest, int64_t *ret_serial,
		   struct bl_err *err)
{
	bl_autojson json_t *serials = NULL;
	int r = bl_floor_load(dir, &serials, err);

	if (!r)
		*ret_serial = bl_floor_serial(serials, digest);
	return r;
}
