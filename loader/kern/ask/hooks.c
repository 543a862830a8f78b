/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/hooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

/* What libbpf puts before the name in the section, by attach type. */
static const struct {
	enum bpf_attach_type type;
	const char *prefix;
} prefixes[] = {
	{ BPF_TRACE_RAW_TP, "btf_trace_" },
	{ BPF_TRACE_FENTRY, "" },
	{ BPF_TRACE_FEXIT, "" },
	{ BPF_MODIFY_RETURN, "" },
	{ BPF_LSM_MAC, "bpf_lsm_" },
	{ BPF_TRACE_ITER, "bpf_iter_" },
};

/* Names of functions and tracepoints. They lie in BTFs that stay loaded. */
static struct {
	struct btf *kernel;
	const char **names; /* sorted */
	size_t count;
	uint32_t last_id;  /* BTFs up to here were looked at */
	bool asked, known; /* tried to read the kernel's; read it */
} all;

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_names(const struct btf *btf, uint32_t from)
{
	uint32_t i, end = btf__type_cnt(btf);
	const char **names =
		reallocarray(all.names, all.count + end - from, sizeof(*names));

	if (!names)
		return -ENOMEM;
	all.names = names;
	for (i = from; i < end; i++) {
		const struct btf_type *t = btf__type_by_id(btf, i);

		if (btf_is_func(t) || btf_is_typedef(t))
			names[all.count++] =
				btf__name_by_offset(btf, t->name_off);
	}
	qsort(names, all.count, sizeof(*names), by_name);
	return 0;
}

/* Adds the BTF @id if it is a module's. Others are programs' own, or the
 * kernel's, which is read already. */
static int add_if_module(uint32_t id)
{
	char name[64] = "";
	struct bpf_btf_info info = { .name = (uint64_t)(uintptr_t)name,
				     .name_len = sizeof(name) };
	bl_autoclose int fd = bpf_btf_get_fd_by_id(id);
	uint32_t len = sizeof(info);
	struct btf *btf;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return errno == ENOENT ? 0 : -errno;
	if (!info.kernel_btf || !strcmp(name, "vmlinux"))
		return 0;
	btf = btf__load_from_kernel_by_id_split(id, all.kernel);
	return btf ? add_names(btf, btf__type_cnt(all.kernel)) : -errno;
}

/* Modules come and go. Those that came since are added; one that went still
 * has its names here, and then the kernel itself is asked. */
static int catch_up(void)
{
	int r = 0;

	while (!r && !bpf_btf_get_next_id(all.last_id, &all.last_id))
		r = add_if_module(all.last_id);
	return r ? r : errno == ENOENT ? 0 : -errno;
}

static int read_kernel(void)
{
	all.kernel = btf__load_vmlinux_btf();
	return all.kernel ? add_names(all.kernel, 1) : -errno;
}

static bool lacks(const char *name)
{
	if (!all.asked)
		all.known = read_kernel() == 0;
	all.asked = true;
	all.known = all.known && catch_up() == 0;
	if (!all.known)
		return false;
	return !bsearch(&name, all.names, all.count, sizeof(*all.names),
			by_name);
}

bool bl_hooks_lack(const struct bpf_program *program, char *ret_name,
		   size_t size)
{
	enum bpf_attach_type type = bpf_program__expected_attach_type(program);
	const char *at = strchr(bpf_program__section_name(program), '/');
	size_t i, len;

	for (i = 0; i < BL_ARRAY_SIZE(prefixes); i++)
		if (prefixes[i].type == type)
			break;
	if (i == BL_ARRAY_SIZE(prefixes) || !at || !at[1])
		return false;
	len = (size_t)snprintf(ret_name, size, "%s%s", prefixes[i].prefix,
			       at + 1);
	return len < size && lacks(ret_name);
}
