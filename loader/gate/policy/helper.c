/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy/helper.h"

#include <linux/bpf.h>
#include <stddef.h>

#include "loader/base/cleanup.h"

#define NAME(x, ...) [BPF_FUNC_##x] = "bpf_" #x

static const char *const helpers[] = { __BPF_FUNC_MAPPER(NAME) };

/* Those of 6.2, for headers of 6.1. */
static const struct {
	uint32_t id;
	const char *name;
} late_helpers[] = {
	{ 210, "bpf_cgrp_storage_get" },
	{ 211, "bpf_cgrp_storage_delete" },
};

const char *bl_helper_name(uint32_t id)
{
	size_t i;

	if (id == BPF_FUNC_unspec)
		return NULL;
	if (id < BL_ARRAY_SIZE(helpers))
		return helpers[id];
	for (i = 0; i < BL_ARRAY_SIZE(late_helpers); i++)
		if (late_helpers[i].id == id)
			return late_helpers[i].name;
	return NULL;
}
