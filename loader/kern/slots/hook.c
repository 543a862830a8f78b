/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/object/harmless.h"

#define OCCUPANT_LEN 64

/* Whether the part of the section before its target ends in ".s". */
bool bl_hook_sleeps(const struct bpf_program *prog)
{
	const char *section = bpf_program__section_name(prog);
	size_t len = strcspn(section, "/");

	return (bpf_program__flags(prog) & BPF_F_SLEEPABLE) ||
	       (len > 2 && !strncmp(section + len - 2, ".s", 2));
}

bool bl_hook_harmless(const struct bpf_program *prog)
{
	return bl_object_harmless(bpf_program__insns(prog),
				  bpf_program__insn_cnt(prog) *
					  sizeof(struct bpf_insn));
}

static bool takes_frags(const struct bpf_program *prog)
{
	return (bpf_program__flags(prog) & BPF_F_XDP_HAS_FRAGS) ||
	       !strcmp(bpf_program__section_name(prog), "xdp.frags");
}

/* A BPF file system refuses dots; a slash would be a folder. What this adds
 * can be told from what was there, so that no two targets share a name. */
static void escape(const char *text, char *ret, size_t size)
{
	size_t at = 0;

	for (; *text && at + 4 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || c == '_')
			ret[at++] = (char)c;
		else
			at += (size_t)snprintf(ret + at, 4, "%%%02X", c);
	}
	ret[at] = 0;
}

static int name_it(struct bl_hook *h, struct bl_err *err)
{
	char target[3 * BL_HOOK_TARGET_MAX];
	int n;

	escape(h->target, target, sizeof(target));
	n = snprintf(h->name, sizeof(h->name) - 4, "%s-%s", h->kind->name,
		     target);
	if (n >= (int)sizeof(h->name) - 4)
		return bl_err_set(err, -ENAMETOOLONG,
				  "the name of %s %s is too long",
				  h->kind->name, h->target);
	return 0;
}

static int place(const struct bpf_program *prog,
		 const struct bl_kern_wish *wish, struct bl_hook *h,
		 const char **ret, struct bl_err *err)
{
	const char *slash = strchr(bpf_program__section_name(prog), '/');
	const char *target = NULL, *key = NULL, *example = "";

	switch (h->kind->place) {
	case BL_PLACE_TARGET:
		target = slash ? slash + 1 : "";
		break;
	case BL_PLACE_CGROUP:
		target = wish ? wish->cgroup : NULL;
		key = "cgroup";
		example = "/";
		break;
	case BL_PLACE_INTERFACE:
		target = wish ? wish->interface : NULL;
		key = "interface";
		example = "eth0";
		break;
	}
	if (!target) {
		bl_err_set(
			err, -EINVAL,
			"program %s (%s): the manifest does not say on which %s",
			bpf_program__name(prog),
			bpf_program__section_name(prog), key);
		bl_err_hint(err, "\"programs\": {\"%s\": {\"%s\": \"%s\"}}",
			    bpf_program__name(prog), key, example);
		return -EINVAL;
	}
	*ret = target;
	return 0;
}

int bl_hook_of(const struct bpf_program *prog, const struct bl_kern_wish *wish,
	       struct bl_hook *ret, struct bl_err *err)
{
	struct bl_hook h = {
		.kind = bl_hook_kind(bpf_program__type(prog),
				     bpf_program__expected_attach_type(prog)),
		.sleepable = bl_hook_sleeps(prog),
		.harmless = bl_hook_harmless(prog),
		.flags = takes_frags(prog) ? BPF_F_XDP_HAS_FRAGS : 0,
	};
	const char *target = "";
	int r = 0;

	if (h.kind)
		r = place(prog, wish, &h, &target, err);
	if (r)
		return r;
	if (strlen(target) >= sizeof(h.target))
		return bl_err_set(
			err, -ENAMETOOLONG,
			"program %s: its target is longer than %zu bytes",
			bpf_program__name(prog), sizeof(h.target) - 1);
	snprintf(h.target, sizeof(h.target), "%s", target);
	/* A target that is for libbpf to know: it attaches it, beside. */
	if (!*target)
		h.kind = NULL;
	else
		r = name_it(&h, err);
	if (!r)
		*ret = h;
	return r;
}

void bl_hook_next(struct bl_hook *hook, unsigned number)
{
	size_t len = strcspn(hook->name, "~");

	snprintf(hook->name + len, sizeof(hook->name) - len, "~%u", number);
}

const struct bl_hook_kind *bl_hook_kind_in(const char *name)
{
	char kind[BL_KERN_HOOK_LEN];

	snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(name, "-"), name);
	return bl_hook_kind_named(kind);
}

void bl_hook_words(const char *name, char ret[static BL_KERN_HOOK_LEN])
{
	char text[BL_KERN_HOOK_LEN] = "";
	bool first = true;
	size_t at = 0;

	for (; *name && at + 1 < sizeof(text); name++) {
		unsigned c;

		if (*name == '%' && sscanf(name + 1, "%2X", &c) == 1) {
			text[at++] = (char)c;
			name += 2;
		} else {
			text[at++] = *name == '-' && first ? '/' : *name;
			first &= *name != '-';
		}
	}
	text[at] = 0;
	memcpy(ret, text, sizeof(text));
}

static int open_cgroup(const char *path, struct bl_err *err)
{
	static const char *const roots[] = { "/sys/fs/cgroup",
					     "/sys/fs/cgroup/unified" };
	struct statfs fs;
	int fd;

	for (size_t i = 0; i < BL_ARRAY_SIZE(roots); i++) {
		bl_autofree char *full = NULL;

		if (statfs(roots[i], &fs) ||
		    (unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		full = bl_path("%s%s", roots[i], path);
		if (!full)
			return bl_err_errno(err, -ENOMEM, "open a cgroup");
		fd = open(full,
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		return fd < 0 ? bl_err_errno(err, -errno, "cgroup %s", path)
			      : fd;
	}
	bl_err_set(err, -ENODEV, "cgroup %s: no cgroup2 file system is mounted",
		   path);
	bl_err_hint(err, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	return -ENODEV;
}

static int link_to(const struct bl_hook *h, int prog_fd, struct bl_err *err)
{
	bl_autoclose int cgroup = -1;
	int index;

	switch (h->kind->place) {
	case BL_PLACE_CGROUP:
		cgroup = open_cgroup(h->target, err);
		if (cgroup < 0)
			return cgroup;
		return bpf_link_create(prog_fd, cgroup, h->kind->attach, NULL);
	case BL_PLACE_INTERFACE:
		index = (int)if_nametoindex(h->target);
		if (!index)
			return -ENODEV;
		return bpf_link_create(prog_fd, index, BPF_XDP, NULL);
	case BL_PLACE_TARGET:
		break;
	}
	if (h->kind->type == BPF_PROG_TYPE_RAW_TRACEPOINT)
		return bpf_raw_tracepoint_open(h->target, prog_fd);
	return bpf_link_create(prog_fd, 0, h->kind->attach, NULL);
}

/* Who has an interface; of other places the kernel does not say. */
static void occupant(const struct bl_hook *h, char ret[static OCCUPANT_LEN])
{
	struct bpf_prog_info info = { 0 };
	bl_autoclose int fd = -1;
	__u32 id = 0, len = sizeof(info);

	snprintf(ret, OCCUPANT_LEN, "another program");
	if (h->kind->place != BL_PLACE_INTERFACE ||
	    bpf_xdp_query_id((int)if_nametoindex(h->target), 0, &id) || !id)
		return;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0)
		(void)bpf_obj_get_info_by_fd(fd, &info, &len);
	snprintf(ret, OCCUPANT_LEN, "program %u '%s'", id, info.name);
}

int bl_hook_link(const struct bl_hook *hook, int prog_fd, struct bl_err *err)
{
	struct bl_err why = { 0 };
	char who[OCCUPANT_LEN];
	int fd = link_to(hook, prog_fd, &why);

	if (fd >= 0)
		return fd;
	if (*why.text) {
		*err = why;
		return fd;
	}
	if (fd != -EBUSY && fd != -EEXIST)
		return bl_err_errno(err, fd, "attach to %s/%s",
				    hook->kind->name, hook->target);
	occupant(hook, who);
	bl_err_set(err, fd,
		   "attach to %s/%s: %s holds this hook and shares it not",
		   hook->kind->name, hook->target, who);
	bl_err_hint(err, "'bpftool link' and 'bpftool net' show whose it is");
	return fd;
}
