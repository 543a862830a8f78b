/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/messages.h"

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

static struct bl_buf *target;
static libbpf_print_fn_t before;
static bool caught;

__attribute__((format(printf, 2, 0))) static int
keep(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	bl_autofree char *text = NULL;

	if (level == LIBBPF_DEBUG || !target || target->len > BL_MESSAGES_MAX)
		return 0;
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return 0;
	}
	bl_buf_add(target, text, strlen(text));
	return 0;
}

void bl_messages_into(struct bl_buf *to)
{
	target = to;
	if (!caught)
		before = libbpf_set_print(keep);
	caught = true;
}

void bl_messages_end(void)
{
	if (caught)
		libbpf_set_print(before);
	caught = false;
	target = NULL;
}
