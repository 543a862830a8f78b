/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/remove.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/host/state.h"
#include "loader/kern/both.h"

#define DEPTH_MAX 8

/* All that belay makes in its state folder. The journal goes first: without it
 * nobody brings anything back. The locks go last, they are held. */
static const char *const files[] = {
	"journal.db",	   "journal.db-wal",
	"journal.db-shm",  "journal.db-journal",
	"journal.db-room", "bundles",
	BL_EVIDENCE_DIR,   "agent.json",
	"agent.json.tmp",  "reader",
	BL_KEEPER_LOCK,	   "lock",
	"incoming",
};

struct places {
	const char *state_dir, *pin_dir, *module_dir;
};

static struct places places_of(const struct bl_host_config *c)
{
	return (struct places){
		c->state_dir ? c->state_dir : BL_HOST_STATE_DIR,
		c->pin_dir ? c->pin_dir : BL_HOST_PIN_DIR,
		c->module_dir ? c->module_dir : BL_HOST_MODULE_DIR,
	};
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Everything below @path but the folders themselves. */
static unsigned count(const char *path, int depth)
{
	bl_autoclosedir DIR *d = depth ? opendir(path) : NULL;
	struct dirent *e;
	unsigned n = 0;

	if (!d)
		return is_there(path);
	while ((e = readdir(d))) {
		bl_autofree char *inner = NULL;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		inner = bl_path("%s/%s", path, e->d_name);
		if (inner)
			n += count(inner, depth - 1);
	}
	return n;
}

static unsigned count_files(const char *state_dir)
{
	unsigned n = 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(files); i++) {
		bl_autofree char *path = bl_path("%s/%s", state_dir, files[i]);

		if (path)
			n += count(path, DEPTH_MAX);
	}
	return n;
}

/* The first name in @dir, if there is any: a stranger's. */
static void find_kept(const char *dir, char ret[static BL_REASON_LEN])
{
	bl_autoclosedir DIR *d = opendir(dir);
	struct dirent *e;

	while (!*ret && d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			snprintf(ret, BL_REASON_LEN, "%.100s/%.100s", dir,
				 e->d_name);
}

/* What a model has in the place of the kernel keeps none. */
static unsigned count_modules(const struct bl_host_config *c,
			      const struct places *p)
{
	return c->ops ? 0 : count(p->module_dir, DEPTH_MAX);
}

/* --- looking -------------------------------------------------------------- */

int bl_host_remove_look(const struct bl_host_config *config,
			struct bl_removed *ret, struct bl_err *err)
{
	const struct places p = places_of(config);
	bl_autofree char *journal = bl_path("%s/journal.db", p.state_dir);
	struct bl_removed res = { 0 };

	if (!journal)
		return bl_err_errno(err, -ENOMEM, "remove");
	res.pins = count(p.pin_dir, DEPTH_MAX) + count_modules(config, &p);
	res.files = count_files(p.state_dir);
	res.anything = res.pins || res.files || is_there(p.pin_dir);
	if (is_there(journal)) {
		struct bl_journal *j = NULL;
		struct bl_journal_txn live;

		if (!bl_journal_open(journal, &j, NULL) &&
		    bl_journal_live(j, &live, NULL) > 0)
			bl_host_describe(&live, &res.live);
		bl_journal_close(j);
	}
	*ret = res;
	return 0;
}

/* --- removing ------------------------------------------------------------- */

/* Whoever works here, reads here or keeps this host. */
struct locks {
	int fd[3];
};

static void unlock(struct locks *l)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(l->fd); i++)
		if (l->fd[i] >= 0)
			close(l->fd[i]);
}

static int lock(const char *state_dir, int64_t now_ms, struct locks *ret,
		struct bl_err *err)
{
	static const char *const names[] = { "lock", "reader", BL_KEEPER_LOCK };
	int r = 0;

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(names); i++) {
		bl_autofree char *path = bl_path("%s/%s", state_dir, names[i]);
		struct bl_lock_owner owner = { 0 };
		char who[128];

		if (!path)
			return bl_err_errno(err, -ENOMEM, "remove");
		r = bl_lock_take(path, "remove", now_ms, &ret->fd[i], &owner,
				 err);
		if (r != -EBUSY)
			continue;
		bl_lock_describe(&owner, who, sizeof(who));
		bl_err_set(err, r, "%s works on this host", who);
		bl_err_hint(
			err,
			"let it finish, or stop it first (an agent: systemctl stop belay-agent)");
	}
	return r;
}

/* A model has no pins to clear. */
static int leave_model(const struct bl_host_config *c, struct bl_err *err)
{
	int r = 0;

	for (int slot = 0; !r && slot < BL_SLOT_COUNT; slot++)
		r = c->ops->retire(c->kern, (enum bl_slot)slot, err);
	return r;
}

static int leave_kernel(const struct bl_host_config *c, const struct places *p,
			struct bl_err *err)
{
	BL_CLEANUP(bl_kern_both_freep) struct bl_kern_both *m = NULL;
	int r;

	if (c->ops)
		return leave_model(c, err);
	r = bl_kern_both_new(p->pin_dir, p->module_dir, &m, err);
	return r ? r : bl_kern_both_leave(m, count(p->pin_dir, DEPTH_MAX), err);
}

/* "17": of the transaction that the evidence is about. */
static bool is_number(const char *name)
{
	return *name && !name[strspn(name, "0123456789")];
}

/* "DIGEST.part": of a bundle that an agent fetches (canary/agent/partial.h). */
static bool is_partial(const char *name)
{
	char digest[BL_DIGEST_HEX];

	snprintf(digest, sizeof(digest), "%s", name);
	return bl_digest_valid(digest) &&
	       strcmp(name + BL_DIGEST_HEX - 1, ".part") == 0;
}

/* Folders of which belay names all that it puts in there. */
static const struct {
	const char *name;
	bool (*ours)(const char *name);
} folders[] = {
	{ "bundles", bl_store_ours },
	{ BL_EVIDENCE_DIR, is_number },
	{ "incoming", is_partial },
};

/* What is belay's in the folder @path; and the folder, if that was all. */
static int leave_folder(const char *path, bool (*ours)(const char *name),
			char ret_kept[static BL_REASON_LEN], struct bl_err *err)
{
	bl_autoclosedir DIR *d = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT
			       ? 0
			       : bl_err_errno(err, -errno, "open %s", path);
	while (!r && (e = readdir(d))) {
		bl_autofree char *inner = NULL;

		if (!ours(e->d_name))
			continue;
		inner = bl_path("%s/%s", path, e->d_name);
		r = inner ? bl_file_rmtree(inner, err)
			  : bl_err_errno(err, -ENOMEM, "remove");
	}
	if (!r && rmdir(path))
		find_kept(path, ret_kept);
	return r;
}

/* One of @files: a file, or a folder with others in it. */
static int leave_file(const char *path, const char *name,
		      char ret_kept[static BL_REASON_LEN], struct bl_err *err)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(folders); i++)
		if (!strcmp(folders[i].name, name))
			return leave_folder(path, folders[i].ours, ret_kept,
					    err);
	if (!unlink(path) || errno == ENOENT)
		return 0;
	return bl_err_errno(err, -errno, "cannot remove %s", path);
}

static int leave_files(const struct places *p, struct bl_removed *res,
		       struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(files); i++) {
		bl_autofree char *path =
			bl_path("%s/%s", p->state_dir, files[i]);

		r = path ? leave_file(path, files[i], res->kept, err)
			 : bl_err_errno(err, -ENOMEM, "remove");
		/* What comes behind may go only if this is gone for good. */
		if (!r)
			r = bl_file_sync_dir(p->state_dir, err);
	}
	return r;
}

/* The folder, and the one that it was made in if that was all. */
static void leave_modules(const char *module_dir, struct bl_removed *res)
{
	bl_autofree char *above = strdup(module_dir);
	char *slash = above ? strrchr(above, '/') : NULL;

	if (rmdir(module_dir)) {
		if (errno != ENOENT)
			find_kept(module_dir, res->kept);
		return;
	}
	if (slash && slash != above) {
		*slash = 0;
		rmdir(above);
	}
}

static int leave(const struct bl_host_config *config, const struct places *p,
		 struct bl_removed *res, struct bl_err *err)
{
	int r = leave_kernel(config, p, err);

	if (!r && is_there(p->state_dir))
		r = leave_files(p, res, err);
	if (r)
		return r;
	if (rmdir(p->pin_dir) && errno != ENOENT)
		find_kept(p->pin_dir, res->kept);
	if (!config->ops)
		leave_modules(p->module_dir, res);
	if (rmdir(p->state_dir) && errno != ENOENT)
		find_kept(p->state_dir, res->kept);
	return 0;
}

int bl_host_remove(const struct bl_host_config *config, struct bl_removed *ret,
		   struct bl_err *err)
{
	const struct places p = places_of(config);
	BL_CLEANUP(unlock) struct locks l = { { -1, -1, -1 } };
	struct bl_removed res = { 0 };
	int r = bl_host_remove_look(config, &res, err);

	if (!r && is_there(p.state_dir))
		r = lock(p.state_dir, bl_clock_wall_ms(), &l, err);
	if (!r)
		r = leave(config, &p, &res, err);
	if (r)
		return bl_err_wrap(err, r, "remove belay from this host");
	*ret = res;
	return 0;
}
