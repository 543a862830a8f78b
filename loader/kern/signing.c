/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/signing.h"

#include <stdbool.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

/* A member of @t, or of an unnamed struct in it: bpf_attr has one of these for
 * each command. */
static bool has(const struct bl_btf *b, const struct bl_btf_type *t,
		const char *name, bool inside)
{
	for (unsigned i = 0; i < t->count; i++) {
		struct bl_btf_member m = bl_btf_member(b, t, i);
		struct bl_btf_type of = bl_btf_resolve(b, m.type);

		if (strcmp(m.name, name) == 0)
			return true;
		if (inside && !*m.name && bl_btf_is_composite(of.kind) &&
		    has(b, &of, name, false))
			return true;
	}
	return false;
}

enum bl_kern_signing bl_kern_signing_of(const struct bl_btf *kernel)
{
	uint32_t id = bl_btf_find(kernel, "bpf_attr", BTF_KIND_UNION);
	struct bl_btf_type attr;

	if (!id)
		return BL_KERN_SIGNING_UNKNOWN;
	attr = bl_btf_type(kernel, id);
	return has(kernel, &attr, "keyring_id", true) ? BL_KERN_SIGNING_ABLE
						      : BL_KERN_SIGNING_UNABLE;
}

enum bl_kern_signing bl_kern_signing(void)
{
	bl_autobuf struct bl_buf bytes = { 0 };
	bl_autobtf struct bl_btf btf = { 0 };

	if (bl_file_read_regular(KERNEL_BTF, BL_BTF_MAX, &bytes, NULL) ||
	    bl_btf_open("vmlinux", bl_buf_str(&bytes), bytes.len, &btf, NULL))
		return BL_KERN_SIGNING_UNKNOWN;
	return bl_kern_signing_of(&btf);
}
