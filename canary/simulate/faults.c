/* SPDX-License-Identifier: Apache-2.0 */
/* What a person says of a fault. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/simulate/simulate.h"
#include "loader/base/cleanup.h"

static const struct {
	const char *name;
	double size; /* if none is given; 0: none may be */
	enum bl_sim_fault fault;
	bool wanted, part;
} faults[] = {
	{ "none", 0, BL_SIM_NONE, false, false },
	{ "crash", 1, BL_SIM_CRASH, false, true },
	{ "rare", 1, BL_SIM_CRASH, true, true },
	{ "stratum", 0.01, BL_SIM_STRATUM, false, true },
	{ "slow", 3, BL_SIM_SLOW, false, false },
	{ "undecided", 1, BL_SIM_UNDECIDED, false, true },
};

/* 20%, or 0.2. */
static bool read_size(const char *text, bool part, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (part && *end == '%' && !end[1]) {
		v /= 100;
		end++;
	}
	if (end == text || *end || !(v > 0) || v > (part ? 1 : 1000))
		return false;
	*ret = v;
	return true;
}

int bl_sim_fault_parse(const char *text, struct bl_sim_opts *ret,
		       struct bl_err *err)
{
	size_t len = strcspn(text, ":"), i;
	double size;

	for (i = 0; i < BL_ARRAY_SIZE(faults); i++) {
		if (strlen(faults[i].name) != len ||
		    strncmp(faults[i].name, text, len) != 0)
			continue;
		size = faults[i].size;
		if (text[len] ? size <= 0 || !read_size(text + len + 1,
							faults[i].part, &size)
			      : faults[i].wanted)
			break;
		ret->fault = faults[i].fault;
		ret->size = size;
		return 0;
	}
	return bl_err_set(
		err, -EINVAL,
		"'%s' is no fault: none, crash, crash:20%%, rare:0.1%%, stratum:1%% (every host of a stratum of that share), slow:3 (times as long) or undecided:1%% (so many hosts cannot judge it)",
		text);
}
