/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/lasting.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/lab/modules.h"

#define MKFS_MS 60000

/* A watchdog's name to QEMU, and its driver's to the kernel. */
#define HARDWARE "i6300esb"

bool bl_lasting_any(const struct bl_vm_spec *s)
{
	return s->disk_count || s->pstore || s->watchdog;
}

/* A word of the guest's init, which does not quote it. */
static bool mount_valid(const char *path)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-/";

	return path && path[0] == '/' && path[1] &&
	       strlen(path) <= BL_NAME_MAX &&
	       strspn(path, allowed) == strlen(path);
}

int bl_lasting_check(const struct bl_vm_spec *s, struct bl_err *err)
{
	if (s->disk_count > BL_VM_DISKS_MAX)
		return bl_err_set(err, -EINVAL, "more than %d disks",
				  BL_VM_DISKS_MAX);
	for (size_t i = 0; i < s->disk_count; i++) {
		const char *mount = s->disks[i].mount;

		if (!mount_valid(mount))
			return bl_err_set(
				err, -EINVAL,
				"'%s' is no folder for a disk: an absolute path of letters, digits and ._- is",
				mount ? mount : "");
	}
	return 0;
}

/* The features are named, since defaults of a new mke2fs (orphan_file) are
 * beyond what a 5.10 can mount. */
static int make_disk(const char *path, struct bl_err *err)
{
	static const char features[] =
		"none,has_journal,ext_attr,dir_index,filetype,extent,64bit,"
		"flex_bg,sparse_super,large_file,extra_isize,metadata_csum";
	static const char sbin[] = "/sbin/mke2fs"; /* not in a user's PATH */
	const char *const argv[] = {
		access(sbin, X_OK) == 0 ? sbin : "mke2fs",
		"-q",
		"-F",
		"-t",
		"ext4",
		"-O",
		features,
		path,
		NULL,
	};
	const struct bl_proc_opts opts = { .timeout_ms = MKFS_MS };
	bl_autoclose int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || ftruncate(fd, BL_LASTING_DISK_BYTES) < 0)
		return bl_err_errno(err, -errno, "cannot make the disk %s",
				    path);
	r = bl_proc_check(argv, &opts, err);
	if (r < 0)
		unlink(path); /* what is there counts as a disk next time */
	if (r == -ENOENT)
		bl_err_hint(err, "install the package e2fsprogs, or run "
				 "scripts/setup");
	return r;
}

static int make_pstore(const char *path, struct bl_err *err)
{
	bl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return bl_err_errno(err, -errno, "cannot open the pstore %s",
				    path);
	if (st.st_size == BL_LASTING_PSTORE_BYTES)
		return 0;
	if (st.st_size)
		return bl_err_set(err, -EFBIG,
				  "%s is no pstore: it has not %u bytes", path,
				  BL_LASTING_PSTORE_BYTES);
	if (ftruncate(fd, BL_LASTING_PSTORE_BYTES) < 0)
		return bl_err_errno(err, -errno, "cannot make the pstore %s",
				    path);
	return 0;
}

int bl_lasting_make(const struct bl_vm_spec *s, struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < s->disk_count; i++)
		r = make_disk(s->disks[i].path, err);
	return r || !s->pstore ? r : make_pstore(s->pstore, err);
}

void bl_lasting_modules(const struct bl_vm_spec *s,
			const char *ret[static BL_LASTING_MODULES_MAX + 1])
{
	size_t n = 0;

	if (s->disk_count) {
		ret[n++] = "virtio_pci";
		ret[n++] = "virtio_blk";
		ret[n++] = "ext4";
	}
	if (s->watchdog)
		ret[n++] = s->watchdog == BL_VM_WATCHDOG_HARD ? HARDWARE
							      : "softdog";
	ret[n] = NULL;
}

enum bl_vm_watchdog bl_lasting_watchdog(const struct bl_kernel *k)
{
	static const char *const names[] = { HARDWARE, NULL };
	struct bl_module_list list = { 0 };
	bool has = k->modules_dir &&
		   !bl_module_find(k->modules_dir, names, &list, NULL);

	bl_module_list_free(&list);
	return has ? BL_VM_WATCHDOG_HARD : BL_VM_WATCHDOG_SOFT;
}

int bl_lasting_mounts(const struct bl_vm_spec *s, struct bl_buf *out)
{
	int r = 0;

	for (size_t i = 0; !r && i < s->disk_count; i++)
		r = bl_buf_printf(out, "%svd%c:%s", i ? " " : "", 'a' + (char)i,
				  s->disks[i].mount);
	return r;
}

static int add_disk(struct bl_argv *a, const char *path)
{
	bl_autofree char *file = bl_qemu_value(path);
	int r = file ? bl_argv_add(a, "-drive") : -ENOMEM;

	return r ? r
		 : bl_argv_add(a, "file=%s,format=raw,if=virtio,cache=unsafe",
			       file);
}

static int add_pstore(struct bl_argv *a, const char *path)
{
	bl_autofree char *file = bl_qemu_value(path);
	int r = file ? bl_argv_add(a, "-object") : -ENOMEM;

	if (!r)
		r = bl_argv_add(
			a,
			"memory-backend-file,id=erst,size=%u,share=on,mem-path=%s",
			BL_LASTING_PSTORE_BYTES, file);
	if (!r)
		r = bl_argv_add(a, "-device");
	return r ? r : bl_argv_add(a, "acpi-erst,memdev=erst");
}

static int add_watchdog(struct bl_argv *a)
{
	int r = bl_argv_add(a, "-device");

	if (!r)
		r = bl_argv_add(a, HARDWARE);
	if (!r)
		r = bl_argv_add(a, "-action");
	return r ? r : bl_argv_add(a, "watchdog=reset");
}

int bl_lasting_argv(const struct bl_vm_spec *s, struct bl_argv *ret)
{
	struct bl_argv a = { 0 };
	int r = 0;

	for (size_t i = 0; !r && i < s->disk_count; i++)
		r = add_disk(&a, s->disks[i].path);
	if (!r && s->pstore)
		r = add_pstore(&a, s->pstore);
	if (!r && s->watchdog == BL_VM_WATCHDOG_HARD)
		r = add_watchdog(&a);
	if (r < 0) {
		bl_argv_free(&a);
		return r;
	}
	*ret = a;
	return 0;
}
