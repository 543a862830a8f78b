/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/lab/guest.h"
#include "loader/lab/initramfs.h"
#include "loader/lab/lasting.h"
#include "loader/lab/modules.h"

#define KVM_PROBE_MS 10000

static const struct {
	const char *path, *text;
} etc[] = {
	{ "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
			 "belay-agent:x:990:990::/:/bin/false\n"
			 "nobody:x:65534:65534:nobody:/:/bin/false\n" },
	{ "/etc/group", "root:x:0:\nbelay-agent:x:990:\nnogroup:x:65534:\n" },
	{ "/etc/shadow", "root:*:19000:0:99999:7:::\n" },
	{ "/etc/fstab", bl_guest_fstab },
	{ "/etc/hosts", "127.0.0.1 localhost\n" },
	{ "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n" },
};

int bl_image_busybox(char **ret, struct bl_err *err)
{
	static const char *const paths[] = { "/bin/busybox", "/usr/bin/busybox",
					     "/sbin/busybox" };

	for (size_t i = 0; i < BL_ARRAY_SIZE(paths); i++) {
		if (access(paths[i], X_OK) != 0)
			continue;
		*ret = strdup(paths[i]);
		return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
	}
	bl_err_set(err, -ENOENT, "this host has no busybox");
	bl_err_hint(err, "install the package busybox-static, or run "
			 "scripts/setup");
	return -ENOENT;
}

static int add_modules(struct bl_initramfs *fs, const struct bl_kernel *k,
		       struct bl_module_list *list, struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < list->count; i++) {
		bl_autofree char *src =
			bl_path("%s/%s", k->modules_dir, list->paths[i]);
		const char *base = strrchr(list->paths[i], '/');
		int len = (int)strcspn(base ? base + 1 : list->paths[i], ".");
		char *dst = bl_path("/lib/modules/%.*s.ko", len,
				    base ? base + 1 : list->paths[i]);
		bl_autobuf struct bl_buf data = { 0 };

		if (!src || !dst) {
			free(dst);
			return bl_err_set(err, -ENOMEM, "out of memory");
		}
		free(list->paths[i]);
		list->paths[i] = dst;
		r = bl_module_read(src, &data, err);
		if (!r)
			r = bl_initramfs_data(fs, dst, 0644, data.data,
					      data.len, err);
	}
	return r;
}

/* A kernel without modules has all that it has built in. */
static int find_modules(struct bl_initramfs *fs, const struct bl_vm_spec *s,
			struct bl_module_list *list, struct bl_err *err)
{
	static const char *const network[] = { "virtio_pci", "virtio_net" };
	const char *names[BL_LASTING_MODULES_MAX + 3] = { 0 };
	const struct bl_kernel *k = s->kernel;
	size_t n = 0;
	int r;

	if (s->forward_port)
		for (; n < BL_ARRAY_SIZE(network); n++)
			names[n] = network[n];
	bl_lasting_modules(s, names + n);
	if (!names[0] || !k->modules_dir)
		return 0;
	r = bl_module_find(k->modules_dir, names, list, err);
	if (!r)
		r = add_modules(fs, k, list, err);
	return r ? bl_err_wrap(err, r, "devices of %s", k->release) : 0;
}

static int add_command(struct bl_initramfs *fs, const struct bl_vm_spec *s,
		       const char *mark, const struct bl_module_list *modules,
		       struct bl_err *err)
{
	bl_autobuf struct bl_buf env = { 0 }, run = { 0 }, disks = { 0 };
	struct bl_guest_env e = {
		.mark = mark,
		.name = s->name,
		.network = s->forward_port != 0,
		.pstore = s->pstore,
		.modules = modules->paths,
		.module_count = modules->count,
	};
	int r = bl_lasting_mounts(s, &disks);

	e.disks = bl_buf_str(&disks);
	if (r < 0 || bl_guest_environment(&env, &e) < 0 ||
	    bl_guest_command(&run, s->argv) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_initramfs_data(fs, BL_GUEST_ENV, 0600, env.data, env.len, err);
	if (!r)
		r = bl_initramfs_data(fs, BL_GUEST_RUN, 0700, run.data, run.len,
				      err);
	return r;
}

static int add_texts(struct bl_initramfs *fs, struct bl_err *err)
{
	int r = bl_initramfs_data(fs, "/init", 0755, bl_guest_init,
				  strlen(bl_guest_init), err);

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(etc); i++)
		r = bl_initramfs_data(fs, etc[i].path, 0644, etc[i].text,
				      strlen(etc[i].text), err);
	return r;
}

/* By its real path: others ask what it needs, whose own exe is another. */
static int belay_path(char **ret, struct bl_err *err)
{
	const char *path = getenv("BELAY_GUEST_BINARY");

	if (!path || !*path)
		path = "/proc/self/exe";
	*ret = realpath(path, NULL);
	return *ret ? 0 : bl_err_errno(err, -errno, "cannot find %s", path);
}

static int add_programs(struct bl_initramfs *fs, struct bl_err *err)
{
	bl_autofree char *belay = NULL;
	bl_autofree char *busybox = NULL;
	int r = belay_path(&belay, err);

	if (!r)
		r = bl_image_busybox(&busybox, err);
	if (!r)
		r = bl_initramfs_program(fs, belay, "/usr/bin/belay", err);
	return r ? r : bl_initramfs_busybox(fs, busybox, err);
}

static int add_base(struct bl_initramfs *fs, struct bl_err *err)
{
	int r = add_programs(fs, err);

	return r ? r : add_texts(fs, err);
}

int bl_image_survey(struct bl_initramfs **ret, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *fs = NULL;
	int r = bl_initramfs_new_survey(&fs, err);

	if (!r)
		r = add_base(fs, err);
	if (!r)
		*ret = BL_TAKE(fs);
	return r;
}

int bl_image_base(struct bl_initramfs **ret, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *fs = NULL;
	int r = bl_initramfs_new(&fs, err);

	if (!r)
		r = add_base(fs, err);
	if (!r)
		*ret = BL_TAKE(fs);
	return r;
}

int bl_image_job(const struct bl_vm_spec *s, const char *mark,
		 const struct bl_initramfs *base, int fd, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *fs = NULL;
	struct bl_module_list modules = { 0 };
	bl_autoclose int same = -1;
	int r = bl_initramfs_new_upon(&fs, base, fd, err);

	for (size_t i = 0; !r && i < s->file_count; i++)
		r = bl_initramfs_program(fs, s->files[i].src, s->files[i].dst,
					 err);
	if (!r)
		r = find_modules(fs, s, &modules, err);
	if (!r)
		r = add_command(fs, s, mark, &modules, err);
	if (!r)
		r = bl_initramfs_finish(fs, &same, err);
	bl_module_list_free(&modules);
	return r;
}

int bl_image_build(const struct bl_vm_spec *s, const char *mark, int *ret_fd,
		   struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *base = NULL;
	bl_autoclose int fd = -1;
	int r = bl_image_base(&base, err);

	if (!r)
		r = bl_initramfs_finish(base, &fd, err);
	if (!r)
		r = bl_image_job(s, mark, base, fd, err);
	if (!r)
		*ret_fd = BL_TAKE_FD(fd);
	return r;
}

static bool kvm_works(const char *image)
{
	/* A kernel without a root panics at once; -no-reboot ends QEMU. */
	const char *const argv[] = { "qemu-system-x86_64",
				     "-nodefaults",
				     "-display",
				     "none",
				     "-no-reboot",
				     "-accel",
				     "kvm",
				     "-m",
				     "256M",
				     "-kernel",
				     image,
				     "-append",
				     "panic=-1",
				     NULL };
	const struct bl_proc_opts opts = { .timeout_ms = KVM_PROBE_MS };
	bl_autoproc struct bl_proc_result res = { 0 };

	return bl_proc_run(argv, &opts, &res, NULL) == 0 && res.status == 0;
}

const char *bl_image_accel(const char *image)
{
	static int works = -1;
	const char *want = getenv("BELAY_LAB_ACCEL");

	if (!want || strcmp(want, "kvm") != 0)
		return "tcg";
	if (works < 0)
		works = kvm_works(image);
	return works ? "kvm" : "tcg";
}
