/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/talkers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/pair.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"

pid_t talkers_child(pid_t parent)
{
	bl_autoclosedir DIR *d = opendir("/proc");
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		bl_autofree char *stat = bl_path("/proc/%s/stat", e->d_name);
		bl_autofree char *line = bl_path("/proc/%s/cmdline", e->d_name);
		bl_autobuf struct bl_buf text = { 0 }, args = { 0 };
		const char *at;
		int ppid = 0;

		if (bl_file_read(stat, 4096, &text, NULL) < 0 ||
		    bl_file_read(line, 4096, &args, NULL) < 0)
			continue;
		at = strrchr(bl_buf_str(&text), ')');
		if (at && sscanf(at, ") %*c %d", &ppid) == 1 &&
		    ppid == parent &&
		    memmem(args.data, args.len, "--talker", 8))
			return (pid_t)atoi(e->d_name);
	}
	return 0;
}

void talkers_gone(pid_t pid)
{
	bl_autofree char *path = bl_path("/proc/%d", (int)pid);

	while (access(path, F_OK) == 0)
		bl_clock_sleep_ms(10);
}

static void write_message(const char *dir, const char *name,
			  const struct bl_pair_msg *m)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, m, m->head.size, 0644, NULL), 0);
}

void talkers_messages(const char *dir, const char *digest)
{
	struct bl_order o = { .kind = BL_ORDER_APPLY, .rollout = "r1" };
	struct bl_pair_msg m;

	bl_pair_begin(&m, BL_PAIR_HELLO);
	write_message(dir, "hello", &m);
	bl_pair_begin(&m, BL_PAIR_NOTE);
	strcpy(m.note.text, "noise");
	write_message(dir, "note", &m);
	bl_pair_begin(&m, BL_PAIR_HEARD);
	memcpy(o.digest, digest, sizeof(o.digest));
	bl_pair_from_order(&o, &m.heard);
	write_message(dir, "apply", &m);
	o.kind = BL_ORDER_ROLLBACK;
	bl_pair_begin(&m, BL_PAIR_HEARD);
	bl_pair_from_order(&o, &m.heard);
	write_message(dir, "rollback", &m);
	bl_pair_begin(&m, BL_PAIR_ASK);
	write_message(dir, "ask", &m);
	bl_pair_begin(&m, BL_PAIR_FETCHED);
	m.fetched.number = 1;
	write_message(dir, "fetched", &m);
	m.head.version++;
	write_message(dir, "newer", &m);
	bl_pair_begin(&m, BL_PAIR_GOT);
	m.got.number = 1;
	m.got.result = -ENOENT;
	write_message(dir, "none", &m);
}

/* Each is what somebody has made of the talker; descriptor 3 is the pair. */
const char *const talkers_evil[TALKERS_EVIL] = {
	/* says what is none, each time that it is started */
	"printf 'POST / HTTP/1.1' >&3",
	/* says nothing at all, and does not go */
	"trap '' TERM; while :; do sleep 1; done",
	/* says more than anybody wants to hear */
	"cat hello >&3; while cat note >&3; do :; done",
	/* prints more than anybody wants to read */
	"cat hello >&3; while :; do echo noise; done >&2",
	/* prints without an end, and a byte at a time */
	"cat hello >&3; while :; do printf x; done >&2",
	/* is of another version */
	"cat newer >&3",
	/* an order, and a bundle that it did not fetch */
	"cat hello apply >&3; sleep 1; while cat fetched >&3; do sleep 0.2; done",
};
