/* SPDX-License-Identifier: Apache-2.0 */
/* belay probe: shows objects to the running kernel. For guests of the lab. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/gate.h"
#include "loader/gate/kernel/ask.h"
#include "loader/verbs.h"

#define SCALE_MAX 1000

static const char usage[] =
	"usage: belay probe OBJECT… [--content FILE] [--previous OBJECT]\n"
	"                   [--last STEP] [--scale N]\n"
	"       belay probe --module FILE.ko [--content FILE] [--last STEP] [--scale N]\n"
	"\n"
	"Loads, attaches and exercises BPF objects on the running kernel and tells\n"
	"what happened, a line of JSON for each step. 'belay check' runs it in guests\n"
	"of the lab; on a machine that matters use 'belay check --kernel host', which\n"
	"only loads.\n"
	"\n"
	"      --module FILE     a kernel module in the place of an object: loaded, its\n"
	"                        hooks put in, exercised, unloaded and loaded again\n"
	"      --content FILE    compiled content for belay's sensor\n"
	"      --previous OBJECT the version to swap from and back to\n"
	"      --last STEP       load, attach, exercise or swap (default: load)\n"
	"      --scale N         size of the workload (default: 1)\n"
	"\n"
	"Of more than one object each is told behind a line {\"object\": PATH}; one\n"
	"that libbpf dies of does not keep the others from being asked about.\n"
	"\n"
	"exit status: 0 told, 2 something could not be told, 64 wrong usage\n"
	"\n"
	"example: belay lab run 6.1 --file a.bpf.o:/a.bpf.o -- belay probe /a.bpf.o\n";

struct args {
	struct bl_probe probe;
	const char *content, *previous;
	bool help;
};

static int read_step(const char *name, enum bl_probe_step *ret)
{
	unsigned i;

	for (i = 0; i < BL_PROBE_STEPS; i++)
		if (strcmp(name, bl_probe_step_name(i)) == 0) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

static int read_args(int argc, char **argv, struct args *a, struct bl_err *err)
{
	static const struct option options[] = {
		{ "content", required_argument, NULL, 'c' },
		{ "module", required_argument, NULL, 'm' },
		{ "previous", required_argument, NULL, 'p' },
		{ "last", required_argument, NULL, 'l' },
		{ "scale", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'c') {
			a->content = optarg;
		} else if (c == 'm') {
			a->probe.module = optarg;
		} else if (c == 'p') {
			a->previous = optarg;
		} else if (c == 'h') {
			a->help = true;
			return 0;
		} else if (c == 's') {
			a->probe.scale = (unsigned)strtoul(optarg, NULL, 10);
			if (!a->probe.scale || a->probe.scale > SCALE_MAX)
				return bl_cli_usage(
					err, "probe",
					"--scale '%s' is not 1 to %d", optarg,
					SCALE_MAX);
		} else if (c == 'l') {
			if (read_step(optarg, &a->probe.last) < 0)
				return bl_cli_usage(err, "probe",
						    "unknown step '%s'",
						    optarg);
		} else {
			return bl_cli_usage(
				err, "probe",
				c == ':' ? "option '%s' needs a value"
					 : "unknown option '%s'",
				argv[optind - 1]);
		}
	}
	if (a->probe.module && (optind < argc || a->previous))
		return bl_cli_usage(
			err, "probe",
			"--module FILE is asked about alone, without objects");
	if (optind == argc && !a->probe.module)
		return bl_cli_usage(err, "probe",
				    "which object? none was given");
	return 0;
}

static int read_part(const char *path, struct bl_buf *ret, struct bl_err *err)
{
	return path ? bl_file_read(path, BL_GATE_FILE_MAX, ret, err) : 0;
}

static int probe_one(const struct args *a, const char *path, struct bl_err *err)
{
	bl_autobuf struct bl_buf object = { 0 };
	bl_autobuf struct bl_buf content = { 0 };
	bl_autobuf struct bl_buf previous = { 0 };
	struct bl_probe p = a->probe;
	int r = read_part(p.module ? NULL : path, &object, err);

	if (r == 0)
		r = read_part(a->content, &content, err);
	if (r == 0)
		r = read_part(a->previous, &previous, err);
	if (r < 0)
		return r;
	p.now = (struct bl_probe_part){ "the object", object.data, object.len,
					content.data, content.len, 1 };
	p.previous = (struct bl_probe_part){ .name = "the previous object",
					     .object = previous.data,
					     .len = previous.len,
					     .generation = 2 };
	return bl_gate_ask(&p, STDOUT_FILENO, err);
}

static void probe_from(const struct args *a, char **paths, int count, int *at)
{
	bool failed = false;

	for (; *at < count; ++*at) {
		struct bl_err err = { 0 };

		printf("{\"object\":\"%s\"}\n", paths[*at]);
		fflush(stdout);
		if (probe_one(a, paths[*at], &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			failed = true;
		}
	}
	_exit(failed);
}

/*
 * libbpf may die of one object, and the others are still to be asked about: a
 * child goes through them, and where it dies the next one goes on behind. What
 * libbpf finds out about the kernel it finds out once.
 */
static int probe_all(const struct args *a, char **paths, int count)
{
	int *at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, code = 0;
	pid_t pid;

	if (at == MAP_FAILED)
		return -errno;
	for (*at = 0; *at < count; ++*at) {
		pid = fork();
		if (pid == 0)
			probe_from(a, paths, count, at);
		if (pid < 0)
			return -errno;
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (status)
			code = -EIO;
	}
	munmap(at, sizeof(*at));
	return code;
}

int bl_cmd_probe(int argc, char **argv, struct bl_err *err)
{
	struct args a = { 0 };
	int code = read_args(argc, argv, &a, err);

	if (code)
		return code;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	if (a.probe.module || optind + 1 == argc)
		return probe_one(&a, argv[optind], err) < 0 ? BL_EXIT_UNDECIDED
							    : BL_EXIT_OK;
	return probe_all(&a, argv + optind, argc - optind) < 0
		       ? BL_EXIT_UNDECIDED
		       : BL_EXIT_OK;
}
