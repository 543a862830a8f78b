/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/sensor_peers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/bundle/content.h"
#include "tests/bench/sensor_ops.h"

#define OUTPUT	   "/run/peer.out"
#define ERRORS	   "/run/peer.err"
#define OUTPUT_MAX (64u << 20)
#define TRIES	   400 /* to be up, each TRY_MS apart */
#define TRY_MS	   100
#define SETTLE_MS  2000

/* The address 127.20.30.41 in the machine's byte order. */
#define BPFTRACE                                                                                      \
	"kfunc:security_file_open { $p = path(args->file->f_path);"                                   \
	" if ($p == \"/usr/lib/x86_64-linux-gnu/libnamed.so.1\") {"                                   \
	" printf(\"@open %lld %d %d %d %s %lld %s\\n\", nsecs, pid, tid, uid, comm, cgroup, $p); } }" \
	" tracepoint:sched:sched_process_exec { $f = str(args->filename);"                            \
	" if ($f == \"/usr/local/sbin/bench-named\") {"                                               \
	" printf(\"@exec %lld %d %d %d %s %lld %s\\n\", nsecs, pid, tid, uid, comm, cgroup, $f); } }" \
	" kfunc:security_socket_connect { $s = (struct sockaddr_in *)args->address;"                  \
	" if ($s->sin_family == 2 && $s->sin_addr.s_addr == 0x291e147f) {"                            \
	" printf(\"@connect %lld %d %d %d %s %lld %s\\n\", nsecs, pid, tid, uid, comm, cgroup, ntop($s->sin_addr.s_addr)); } }"

#define SYSDIG                                                            \
	"evt.dir=< and ((evt.type in (open,openat) and fd.name=/usr/lib/" \
	"x86_64-linux-gnu/libnamed.so.1) or (evt.type=execve and "        \
	"proc.exepath=/usr/local/sbin/bench-named) or (evt.type=connect " \
	"and fd.sip=127.20.30.41))"

static const struct peer {
	const char *name, *program, *module; /* module: NULL, or its file */
	const char *argv[10];
	const char *marks[SENSOR_PEER_KINDS]; /* in its line of such an event */
} peers[] = {
	{ "bpftrace",
	  "/p/bpftrace",
	  NULL,
	  { "/p/bpftrace", "-B", "line", "-e", BPFTRACE, NULL },
	  { "@exec ", "@open ", "@connect " } },
	{ "sysdig",
	  "/p/sysdig",
	  "/p/scap.ko",
	  { "/p/sysdig", "--unbuffered", "-p",
	    "*@%evt.type %evt.rawtime %proc.pid %thread.tid %user.uid %proc.name %fd.name",
	    SYSDIG, NULL },
	  { "@execve ", "@open", "@connect " } },
};

static char why[256];

static int insert(const char *module)
{
	bl_autoclose int fd = open(module, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (!r && syscall(SYS_finit_module, fd, "", 0))
		r = -errno;
	if (r)
		snprintf(why, sizeof(why), "its module does not load: %s",
			 strerror(-r));
	return r;
}

/* Lines of the output that hold @mark. */
static unsigned long reported(const char *mark)
{
	bl_autobuf struct bl_buf out = { 0 };
	const char *at;
	unsigned long n = 0;

	if (bl_file_read(OUTPUT, OUTPUT_MAX, &out, NULL))
		return 0;
	for (at = bl_buf_str(&out); (at = strstr(at, mark)); at++)
		n++;
	return n;
}

static void first_error(void)
{
	bl_autobuf struct bl_buf out = { 0 };

	bl_file_read(ERRORS, OUTPUT_MAX, &out, NULL);
	snprintf(why, sizeof(why), "%.200s", bl_buf_str(&out));
	why[strcspn(why, "\n")] = 0;
	if (!*why)
		snprintf(why, sizeof(why), "it reports nothing");
}

/* Until it has reported one event of each kind. */
static bool up(const struct peer *p, pid_t pid)
{
	for (int try = 0; try < TRIES; try++) {
		bool all = true;
		int status;

		for (int k = 0; k < SENSOR_PEER_KINDS; k++) {
			sensor_ops_once((enum bl_event_kind)k, SENSOR_EMITTED);
			all &= reported(p->marks[k]) > 0;
		}
		if (all)
			return true;
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		usleep(TRY_MS * 1000);
	}
	first_error();
	return false;
}

static void measure(const struct peer *p, unsigned count, unsigned execs)
{
	for (int k = 0; k < SENSOR_PEER_KINDS; k++)
		for (int o = 0; o < SENSOR_ELSEWHERE; o++) {
			enum bl_event_kind kind = (enum bl_event_kind)k;
			unsigned long before = reported(p->marks[k]);
			double ticks = sensor_ops_ticks(
				kind, (enum sensor_outcome)o,
				kind == BL_EVENT_EXEC ? execs : count);

			usleep(SETTLE_MS * 1000);
			printf("@@peer %s %s %s %.1f %lu\n", p->name,
			       bl_event_kind_name(kind),
			       sensor_outcome_names[o], ticks,
			       reported(p->marks[k]) - before);
		}
}

static void run(const struct peer *p, unsigned count, unsigned execs)
{
	bl_autoclose int out = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	bl_autoclose int errors =
		open(ERRORS, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	struct bl_err err = { 0 };
	pid_t pid = 0;
	bool good;

	good = !p->module || !insert(p->module);
	if (good && bl_proc_spawn(p->argv, -1, out, errors, &pid, &err)) {
		snprintf(why, sizeof(why), "%.200s", err.text);
		good = false;
	}
	if (good && (good = up(p, pid)))
		measure(p, count, execs);
	if (!good)
		printf("@@peer_none %s %s\n", p->name, why);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (p->module)
		syscall(SYS_delete_module, "scap", 0);
}

void sensor_peers(unsigned count, unsigned execs)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(peers); i++)
		if (access(peers[i].program, X_OK) == 0 &&
		    (!peers[i].module || access(peers[i].module, R_OK) == 0))
			run(&peers[i], count, execs);
}
