/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/choice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

void bl_choice_free(struct bl_choice *c)
{
	bl_catalog_free(&c->catalog);
	free(c->kernels);
	*c = (struct bl_choice){ 0 };
}

/* "all" of the catalogue picks only what is ready. */
static int add_unready(struct bl_choice *c, struct bl_err *err)
{
	size_t i, k, n = c->count;
	const struct bl_kernel **list;

	list = realloc(c->kernels, (c->catalog.count + 1) * sizeof(*list));
	if (!list)
		return bl_err_set(err, -ENOMEM, "out of memory");
	c->kernels = list;
	for (i = 0; i < c->catalog.count; i++) {
		const struct bl_kernel *kernel = &c->catalog.kernels[i];

		for (k = 0; k < n && list[k] != kernel; k++)
			;
		if (k == n && !kernel->ready)
			list[c->count++] = kernel;
	}
	return 0;
}

static int choose(const char *const *specs, size_t count, struct bl_choice *c,
		  struct bl_err *err)
{
	bl_autofree const char **lab = calloc(count, sizeof(*lab));
	size_t lab_count = 0, i;
	int r;

	if (!lab)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		if (strcmp(specs[i], "host") == 0)
			c->host = true;
		else
			lab[lab_count++] = specs[i];
		c->all = c->all || strcmp(specs[i], "all") == 0;
	}
	if (!lab_count)
		return 0;
	r = bl_catalog_load(&c->catalog, err);
	if (r == 0)
		r = bl_catalog_select(&c->catalog, lab, lab_count, &c->kernels,
				      &c->count, err);
	return r == 0 && c->all ? add_unready(c, err) : r;
}

int bl_choose(const char *const *specs, size_t count, struct bl_choice *ret,
	      struct bl_err *err)
{
	static const char *const everything[] = { "all" };
	BL_CLEANUP(bl_choice_free) struct bl_choice c = { 0 };
	int r = count ? choose(specs, count, &c, err)
		      : choose(everything, 1, &c, err);

	if (r < 0)
		return r;
	*ret = c;
	c = (struct bl_choice){ 0 };
	return 0;
}
