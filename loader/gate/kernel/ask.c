/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/ask.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/gate/kernel/answer.h"

static int write_all(int fd, const char *text, struct bl_err *err)
{
	size_t len = strlen(text);
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bl_err_errno(err, -errno, "write the answer");
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

struct to {
	int fd;
	bool broken; /* the answer itself could not be written */
};

static int tell_line(struct to *to, char *line, struct bl_err *err)
{
	bl_autofree char *owned = line;
	int r = owned ? write_all(to->fd, owned, err)
		      : bl_err_set(err, -ENOMEM, "out of memory");

	to->broken = to->broken || r < 0;
	return r;
}

static int told(void *ctx, enum bl_probe_step step, const struct bl_facts *f,
		struct bl_err *err)
{
	return tell_line(ctx, bl_answer_line(step, f), err);
}

int bl_gate_ask(const struct bl_probe *p, int fd, struct bl_err *err)
{
	struct to to = { .fd = fd };
	struct bl_probe mine = *p;
	struct bl_err why = { 0 };
	int r;

	mine.told = told;
	mine.ctx = &to;
	r = bl_kern_probe(&mine, &why);
	if (r < 0 && !to.broken)
		r = tell_line(&to, bl_answer_error_line(why.text), &why);
	return r < 0 ? bl_err_set(err, r, "%s", why.text) : 0;
}
