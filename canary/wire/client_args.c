/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/client_args.h"

#include <errno.h>
#include <stdio.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"

int bl_client_open_by(const struct bl_client_args *a, struct bl_client **ret,
		      struct bl_err *err)
{
	struct bl_client *c = NULL;
	int r = bl_client_open(a->url, a->plaintext, &c, err);

	if (!r)
		r = bl_client_identity(c, a->dir, "operator", err);
	if (r < 0) {
		bl_client_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

int bl_client_print_json(const json_t *value)
{
	bl_autofree char *text = bl_json_dump(json_incref((json_t *)value));

	if (text)
		fputs(text, stdout);
	return text ? BL_EXIT_OK : BL_EXIT_UNDECIDED;
}

int bl_client_exit(int r)
{
	if (r == -EPERM)
		return BL_EXIT_REJECTED;
	return r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}
