/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For test_parts.sh, in a guest:
 *
 *	host_parts seed STORE BUNDLE	a store with a rollout of BUNDLE to all
 *	host_parts try TLS-DIR		becomes what a talker is, and tries what
 *					one may not: 0 if all of it is refused
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "canary/agent/parts.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define THREADS 32 /* as in belay-agent.service.in */

static int fail(const struct bl_err *err)
{
	printf("FAIL: %s\n", err->text);
	return 1;
}

static int seed(const char *url, const char *path)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	struct bl_start s = { .override_reason = "" };
	char id[BL_ROLLOUT_ID_LEN];
	struct bl_store *store = NULL;
	struct bl_err err = { 0 };
	int r = bl_store_open(url, &store, &err);

	if (!r)
		r = bl_bundle_open(path, &bundle, &err);
	if (!r)
		r = bl_controller_store_bundle(store, &bundle,
					       bl_clock_wall_ms(), &err);
	s.digest = bundle.digest;
	bl_plan_default(&s.plan);
	if (!r)
		r = bl_controller_start(store, &s, bl_clock_wall_ms(), id,
					&err);
	bl_store_close(store);
	return r < 0 ? fail(&err) : 0;
}

static int try_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600);
}
static int kernel_log(void)
{
	return try_open("/dev/kmsg", O_RDONLY);
}
static int kernel_log_to_write(void)
{
	return try_open("/dev/kmsg", O_WRONLY);
}
static int programs(void)
{
	union bpf_attr attr = { .start_id = 0 };

	return (int)syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr));
}
static int a_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
				.key_size = 4,
				.value_size = 4,
				.max_entries = 1 };

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}
static int journal(void)
{
	return try_open("/var/lib/belay/journal.db", O_RDONLY);
}
static int pins(void)
{
	return try_open("/sys/fs/bpf/belay", O_RDONLY | O_DIRECTORY);
}
static int passwords(void)
{
	return try_open("/etc/shadow", O_RDONLY);
}
static int a_file(void)
{
	return try_open("/tmp/left-behind", O_WRONLY | O_CREAT);
}
static int its_certificate(void)
{
	return try_open("host.pem", O_WRONLY);
}
static int a_program(void)
{
	char *const argv[] = { "true", NULL };

	return execv("/bin/busybox", argv);
}
static int a_process(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	return pid;
}
static int the_host_part(void)
{
	return kill(getppid(), SIGCONT);
}
static int a_debugger(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}
static int a_local_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
static int a_raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static int a_packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}
static int a_mount(void)
{
	return mount("x", "/tmp", "tmpfs", 0, NULL);
}
static int a_namespace(void)
{
	return (int)syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */);
}
static int to_be_root(void)
{
	return setuid(0);
}
static int all_memory(void)
{
	return mmap(NULL, BL_PARTS_TALKER_MEMORY, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? -1
		       : 0;
}
static void *for_ever(void *ctx)
{
	for (;;)
		pause();
	return ctx;
}
/* As many as are left of those that the unit lets its user have. */
static int threads_without_end(void)
{
	pthread_t thread;
	int r = 0;

	for (int i = 0; !r && i <= THREADS; i++)
		r = pthread_create(&thread, NULL, for_ever, NULL);
	errno = r;
	return r ? -1 : 0;
}

#define ROW(what)           \
	{                   \
#what, what \
	}

static const struct {
	const char *name;
	int (*what)(void);
} tries[] = {
	ROW(kernel_log),
	ROW(kernel_log_to_write),
	ROW(programs),
	ROW(a_map),
	ROW(journal),
	ROW(pins),
	ROW(passwords),
	ROW(a_file),
	ROW(its_certificate),
	ROW(a_program),
	ROW(a_process),
	ROW(the_host_part),
	ROW(a_debugger),
	ROW(a_local_socket),
	ROW(a_raw_socket),
	ROW(a_packet_socket),
	ROW(a_mount),
	ROW(a_namespace),
	ROW(to_be_root),
	ROW(all_memory),
	ROW(threads_without_end),
};

/* What it is there for works, or the rest says nothing. */
static int can_work(void)
{
	int bad = 0;

	if (try_open("host.key", O_RDONLY) < 0) {
		printf("FAIL: its key: %s\n", strerror(errno));
		bad = 1;
	}
	if (socket(AF_INET, SOCK_STREAM, 0) < 0) {
		printf("FAIL: a socket: %s\n", strerror(errno));
		bad = 1;
	}
	return bad;
}

static int try(const char *tls_dir)
{
	const struct rlimit threads = { THREADS, THREADS };
	struct bl_sandbox_user user;
	struct bl_err err = { 0 };
	int bad = 0, r = bl_sandbox_user(BL_PARTS_USER, &user, &err);

	if (!r && setrlimit(RLIMIT_NPROC, &threads) < 0)
		r = bl_err_errno(&err, -errno, "cannot limit its threads");
	if (!r)
		r = bl_parts_confine_talker(&user, tls_dir, &err);
	if (r < 0)
		return fail(&err);
	for (size_t i = 0; i < BL_ARRAY_SIZE(tries); i++) {
		errno = 0;
		if (tries[i].what() >= 0) {
			printf("FAIL: %s was not refused\n", tries[i].name);
			bad = 1;
		} else {
			printf("   %s: %s\n", tries[i].name, strerror(errno));
		}
	}
	return can_work() || bad;
}

int main(int argc, char **argv)
{
	int r = 64;

	if (argc == 4 && !strcmp(argv[1], "seed"))
		r = seed(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "try"))
		r = try(argv[2]);
	fflush(stdout);
	/* What a talker may not, a checker of leaks does at the end. */
	_exit(r);
}
