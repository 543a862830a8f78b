/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that load, that lose events, that are refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lab/guest/probe.h"

static int ignore_event(void *ctx, void *data, size_t len)
{
	(void)ctx;
	CHECK(bl_event_ok(data, len));
	return 0;
}

int flood_mode(const char *path)
{
	struct bl_stats s;
	unsigned i;

	start(path, false, ignore_event);
	for (i = 0; i < 20; i++) {
		close(open("/etc/passwd", O_RDONLY));
		usleep(50000);
		drain();
	}
	s = stats();
	printf("stats: emitted %llu dropped %llu\n", s.emitted, s.dropped);
	CHECK(s.emitted > 0);
	CHECK(s.dropped * 10 > s.emitted);
	return 0;
}

/* Prints the number of instructions the verifier walked, per program. */
int load_mode(const char *path)
{
	enum { LOG = 16 << 20 };
	struct bpf_program *prog;
	char *logs[32];
	unsigned n = 0;
	int e;

	open_object(path, true);
	bpf_object__for_each_program (prog, obj) {
		MUST(n < BL_ARRAY_SIZE(logs) && (logs[n] = calloc(1, LOG)));
		bpf_program__set_log_level(prog, 4);
		bpf_program__set_log_buf(prog, logs[n++], LOG);
	}
	e = bpf_object__load(obj);
	n = 0;
	bpf_object__for_each_program (prog, obj) {
		const char *line = strstr(logs[n++], "processed ");

		if (!bpf_program__autoload(prog)) {
			printf("%s: not for this kernel\n",
			       bpf_program__name(prog));
			continue;
		}
		checks++;
		printf("%s: %.*s\n", bpf_program__name(prog),
		       line ? (int)strcspn(line, "\n") : 10,
		       line ? line : "not loaded");
		if (!line)
			fail("%s", bpf_program__name(prog));
	}
	if (e)
		fail("load: %s", strerror(-e));
	return 0;
}

/* The text of the last line of the program that the verifier came to. */
static void last_source_line(const char *log, char ret[static 256])
{
	const char *line = log, *next;

	ret[0] = '\0';
	for (; line && *line; line = next ? next + 1 : NULL) {
		next = strchr(line, '\n');
		if (!strncmp(line, "; ", 2))
			snprintf(ret, 256, "%.*s", (int)strcspn(line, "\n"),
				 line);
	}
}

int oob_mode(const char *path)
{
	enum { LOG = 16 << 20 };
	struct bpf_program *guilty;
	char *log = calloc(1, LOG), line[256], *why;

	open_object(path, true);
	guilty = bpf_object__find_program_by_name(obj, "bl_open_field");
	MUST(log && guilty);
	bpf_program__set_log_level(guilty, 1);
	bpf_program__set_log_buf(guilty, log, LOG);
	CHECK(bpf_object__load(obj) == -EACCES);
	why = strstr(log, "outside of the allowed memory range");
	CHECK(why);
	last_source_line(log, line);
	printf("refused at: %s\n", line);
	CHECK(strstr(line, "f->value[wanted]"));
	return 0;
}
