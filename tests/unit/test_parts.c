/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever has taken over the talker, in a process that is confined as one: what it
 * tries is refused, and by the filter where the kernel would have asked no further.
 * What needs kernels of the lab is in tests/lab/host/parts.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/parts.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"

#define PAGE 4096
/* As in the unit of systemd (belay-agent.service.in). */
#define THREADS 32

static char *dir, *file;
static struct bl_err err;

static void set_up(void)
{
	dir = bl_test_tmpdir();
	ck_assert_int_eq(chmod(dir, 0711), 0);
	file = bl_path("%s/host.key", dir);
	ck_assert_int_eq(bl_file_write(file, "key", 3, 0644, NULL), 0);
}

static void tear_down(void)
{
	bl_file_rmtree(dir, NULL);
	free(file);
	free(dir);
}

/* Makes this process what a talker is. Where the tests are root, there is this
 * user. */
static void become_a_talker(void)
{
	struct bl_sandbox_user user;

	if (bl_sandbox_user("nobody", &user, &err) < 0 ||
	    bl_parts_confine_talker(geteuid() ? NULL : &user, dir, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
}

/* Each ends with what its call did: -1, and the error that it is refused with. */

#ifndef __SANITIZE_ADDRESS__ /* as in parts.c; in the lab it is tried, too */
static int memory(int flags)
{
	return mmap(NULL, BL_PARTS_TALKER_MEMORY, PROT_READ | PROT_WRITE,
		    MAP_ANONYMOUS | flags, -1, 0) == MAP_FAILED
		       ? -1
		       : 0;
}
static int all_memory(void)
{
	return memory(MAP_PRIVATE | MAP_NORESERVE);
}
static int all_shared_memory(void)
{
	return memory(MAP_SHARED);
}
#endif
static int locked_memory(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}
static int memory_to_execute(void)
{
	return mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? -1
		       : 0;
}
static int memory_made_to_execute(void)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(at, PAGE, PROT_READ | PROT_EXEC);
}
static int files_without_end(void)
{
	int fd = 0;

	for (int i = 0; fd >= 0 && i <= BL_PARTS_TALKER_FILES; i++)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd;
}
static void *for_ever(void *ctx)
{
	for (;;)
		pause();
	return ctx;
}
static int threads_without_end(void)
{
	pthread_t thread;
	int r = 0;

	for (int i = 0; !r && i <= THREADS; i++)
		r = pthread_create(&thread, NULL, for_ever, NULL);
	errno = r;
	return r ? -1 : 0;
}
static int a_process(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static int a_file_to_write(void)
{
	return open("left-behind", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}
static int its_place_among_the_killed(void)
{
	return open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
}
static int a_lock(void)
{
	struct flock lock = { .l_type = F_RDLCK };

	return fcntl(open(file, O_RDONLY | O_CLOEXEC), F_SETLK, &lock);
}
static int signals_by_a_socket(void)
{
	return fcntl(socket(AF_INET, SOCK_DGRAM, 0), F_SETOWN, getpid());
}
static int a_larger_pipe(void)
{
	int fds[2] = { -1, -1 };

	return pipe2(fds, O_CLOEXEC) < 0 ? 0
					 : fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
}
static int a_pipe_of_notifications(void)
{
	int fds[2];

	return pipe2(fds, O_EXCL);
}
static int a_lock_with_priorities(void)
{
	uint32_t word = 0;

	return (int)syscall(SYS_futex, &word, FUTEX_LOCK_PI_PRIVATE, 0, NULL,
			    NULL, 0);
}
static int interrupts_everywhere(void)
{
	return (int)syscall(SYS_membarrier, 1, 0, 0);
}
static int a_protocol_to_be_loaded(void)
{
	return socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
}
static int the_same_behind_the_int(void)
{
	return (int)syscall(SYS_socket, AF_INET | INT64_C(1) << 32, SOCK_STREAM,
			    IPPROTO_SCTP);
}
static int a_ping(void)
{
	return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}
static int a_local_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
static int datagrams_by_a_pair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_DGRAM, 0, fds);
}
static int option(int level, int name, const void *value, socklen_t size)
{
	return setsockopt(socket(AF_INET, SOCK_STREAM, 0), level, name, value,
			  size);
}
static int a_socket_that_lingers(void)
{
	const struct linger linger = { 1, 3600 };

	return option(SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}
static int a_socket_with_room(void)
{
	const int bytes = 1 << 20;

	return option(SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}
static int a_protocol_above_tcp(void)
{
	return option(IPPROTO_TCP, TCP_ULP, "tls", 3);
}

#define ROW(what, refused_with)           \
	{                                 \
#what, what, refused_with \
	}

static const struct {
	const char *name;
	int (*what)(void);
	int error;
} tries[] = {
#ifndef __SANITIZE_ADDRESS__
	ROW(all_memory, ENOMEM),
	ROW(all_shared_memory, ENOMEM),
#endif
	ROW(locked_memory, EPERM),
	ROW(memory_to_execute, EPERM),
	ROW(memory_made_to_execute, EPERM),
	ROW(files_without_end, EMFILE),
	ROW(threads_without_end, EAGAIN),
	ROW(a_process, EPERM),
	ROW(a_file_to_write, EPERM),
	ROW(its_place_among_the_killed, EPERM),
	ROW(a_lock, EPERM),
	ROW(signals_by_a_socket, EPERM),
	ROW(a_larger_pipe, EPERM),
	ROW(a_pipe_of_notifications, EPERM),
	ROW(a_lock_with_priorities, EPERM),
	ROW(interrupts_everywhere, EPERM),
	ROW(a_protocol_to_be_loaded, EPERM),
	ROW(the_same_behind_the_int, EPERM),
	ROW(a_ping, EPERM),
	ROW(a_local_socket, EPERM),
	ROW(datagrams_by_a_pair, EPERM),
	ROW(a_socket_that_lingers, EPERM),
	ROW(a_socket_with_room, EPERM),
	ROW(a_protocol_above_tcp, EPERM),
};

/* A checker of leaks would do at the end what no talker may: _exit. */
static int in_a_talker(int (*what)(void), const struct rlimit *threads)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (threads && setrlimit(RLIMIT_NPROC, threads) < 0)
			_exit(1);
		become_a_talker();
		errno = 0;
		_exit(what() < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "%#x", status);
	return WEXITSTATUS(status);
}

START_TEST(what_a_talker_may_not_is_refused)
{
	const struct rlimit threads = { THREADS, THREADS };
	int got = in_a_talker(tries[_i].what, &threads);

	ck_assert_msg(got == tries[_i].error, "%s: %s", tries[_i].name,
		      got ? strerror(got) : "was not refused");
}
END_TEST

static void *nothing(void *ctx)
{
	return ctx;
}

/* The resolver of glibc and libcurl do as much. */
static int work(void)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const int on = 1;
	struct addrinfo *all = NULL;
	pthread_t thread;
	int fds[2];

	if (getaddrinfo("localhost", "1", &hints, &all))
		return -1;
	freeaddrinfo(all);
	if (open("host.key", O_RDONLY | O_CLOEXEC) < 0 ||
	    option(IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0) < 0 ||
	    pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	errno = pthread_create(&thread, NULL, nothing, NULL);
	if (errno)
		return -1;
	errno = pthread_join(thread, NULL);
	return errno ? -1 : 0;
}

START_TEST(what_a_talker_is_there_for_works)
{
	ck_assert_int_eq(in_a_talker(work, NULL), 0);
}
END_TEST

static int score(void)
{
	char text[16] = "";

	if (read(open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC), text,
		 sizeof(text) - 1) < 0)
		return -1;
	errno = ERANGE;
	return atoi(text) < BL_PARTS_TALKER_SCORE ? -1 : 0;
}

START_TEST(a_talker_is_killed_before_others)
{
	ck_assert_int_eq(in_a_talker(score, NULL), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("parts");
	TCase *t = tcase_create("parts");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, what_a_talker_may_not_is_refused, 0,
			    (int)BL_ARRAY_SIZE(tries));
	tcase_add_test(t, what_a_talker_is_there_for_works);
	tcase_add_test(t, a_talker_is_killed_before_others);
	suite_add_tcase(s, t);
	return s;
}
