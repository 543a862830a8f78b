/* SPDX-License-Identifier: Apache-2.0 */
/* One of everything that a sensor has to have an opinion on. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/kmod/twins.h"

/* Longer than an event's path. */
#define LONG_NAME 200
static char long_path[4096] = "/t/";

static void file_make(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

	MUST(fd >= 0 && !fchmod(fd, mode));
	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void self_copy(int out)
{
	bl_autoclose int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char block[65536];
	ssize_t n;

	MUST(in >= 0 && out >= 0);
	while ((n = read(in, block, sizeof(block))) > 0)
		MUST(write(out, block, n) == n);
}

static void program_make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	self_copy(fd);
	close(fd);
}

/* Where questions to DNS go, and find nobody. */
static void loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	bl_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo));
}

void deeds_prepare(void)
{
	static const char *const folders[] = { "/t", "/t/denied", "/t/m",
					       "/t/bind" };
	size_t len = strlen(long_path);

	umask(0);
	loopback_up();
	for (size_t i = 0; i < BL_ARRAY_SIZE(folders); i++)
		MUST(!mkdir(folders[i], 0777));
	MUST(!mount("a", "/t/m", "tmpfs", 0, NULL));
	MUST(!mkdir("/t/m/n", 0777) && !mount("b", "/t/m/n", "tmpfs", 0, NULL));
	MUST(!mkdir("/t/m/n/deep", 0777));
	MUST(!mount("/t/m/n/deep", "/t/bind", NULL, MS_BIND, NULL));
	MUST(!mount("c", "/t/m/n/deep", "tmpfs", 0, NULL));
	for (int i = 0; i < 3; i++) {
		memset(long_path + len, 'a' + i, LONG_NAME);
		MUST(!mkdir(long_path, 0777));
		long_path[len + LONG_NAME] = '/';
		len += LONG_NAME + 1;
	}
	memcpy(long_path + len, "end", sizeof("end"));
	file_make("/t/one", 0666, "");
	file_make("/t/quiet", 0666, "");
	file_make("/t/secret", 0666, "");
	file_make("/elsewhere", 0666, "");
	file_make("/t/script", 0755, "#!/t/program exit\n");
	program_make("/t/program");
	program_make("/t/denied/program");
	MUST(!symlink("/t/m/n/deep/file", "/t/link"));
}

static void say(struct bl_buf *to, const char *what, int code)
{
	MUST(!bl_buf_printf(to, "%s: %s\n", what,
			    code < 0 ? strerror(-code) : "done"));
}

static int touch(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);
	int code = fd < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return code;
}

/* What is open here, once more. */
static int again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return touch(path, flags);
}

static int gone(void)
{
	bl_autoclose int fd =
		open("/t/gone", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	MUST(fd >= 0 && !unlink("/t/gone"));
	return again(fd, O_RDONLY);
}

static int of_pipe(void)
{
	int ends[2], code;

	MUST(!pipe(ends));
	code = again(ends[0], O_RDONLY | O_NONBLOCK);
	close(ends[0]);
	close(ends[1]);
	return code;
}

static void opens(struct bl_buf *said)
{
	static const struct {
		const char *path;
		int flags;
	} files[] = {
		{ "/t/one", O_RDONLY },
		{ "/t/new", O_WRONLY | O_CREAT },
		{ "/t/quiet", O_RDONLY },
		{ "/t/secret", O_RDONLY },
		{ "/elsewhere", O_RDONLY },
		{ "/t/none", O_RDONLY },
		{ "/t/m/n/deep/file", O_WRONLY | O_CREAT },
		{ "/t/bind/file", O_WRONLY | O_CREAT },
		{ "/t/link", O_RDONLY },
		{ "/t/m/../bind/./file", O_RDONLY },
		{ "/t/m/n", O_RDONLY | O_DIRECTORY },
		{ "/t/named (deleted)", O_WRONLY | O_CREAT },
		{ long_path, O_WRONLY | O_CREAT },
		{ "/t/m/n/marked", O_WRONLY | O_CREAT },
		{ "/marked", O_WRONLY | O_CREAT },
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(files); i++)
		say(said, files[i].path, touch(files[i].path, files[i].flags));
	say(said, "a file without a name", gone());
	say(said, "a pipe", of_pipe());
}

static int run(const char *path, int memfd)
{
	char *const argv[] = { (char *)path, "exit", NULL };
	char *const none[] = { NULL };
	int status;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid) {
		if (memfd >= 0)
			fexecve(memfd, argv, none);
		else
			execve(path, argv, none);
		_exit(errno);
	}
	MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void execs(struct bl_buf *said)
{
	static const char *const programs[] = { "/t/program", "/t/script",
						"/t/denied/program",
						"/t/nothing" };
	bl_autoclose int any = memfd_create("memory", MFD_CLOEXEC);
	/* Its number becomes the program's comm. */
	bl_autoclose int memfd = dup3(any, 77, O_CLOEXEC);

	for (size_t i = 0; i < BL_ARRAY_SIZE(programs); i++)
		say(said, programs[i], run(programs[i], -1));
	self_copy(memfd);
	say(said, "a program in memory", run("memory", memfd));
}

static void dial4(const char *text, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	bl_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && inet_pton(AF_INET, text, &to.sin_addr) == 1);
	/* Whether anything is there does not matter. */
	(void)connect(fd, (void *)&to, sizeof(to));
}

static void dial6(const char *text, uint16_t port, socklen_t len)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_flowinfo = htonl(0x1234) };
	bl_autoclose int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && inet_pton(AF_INET6, text, &to.sin6_addr) == 1);
	(void)connect(fd, (void *)&to, len);
}

static void connects(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/t/s" };
	bl_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)connect(fd, (void *)&un, sizeof(un));
	dial4("192.0.2.1", 80);
	dial4("192.0.2.255", 65535);
	dial4("10.1.2.3", 22); /* ignored */
	dial4("127.0.0.1", 1);
	dial6("2001:db8::1", 443, sizeof(struct sockaddr_in6));
	dial6("fe80::1", 443, sizeof(struct sockaddr_in6));
	dial6("::ffff:192.0.2.7", 53, sizeof(struct sockaddr_in6));
	dial6("::ffff:10.0.0.1", 53, sizeof(struct sockaddr_in6));
	/* Without a scope, as RFC 2133 has it; cut off, and so none of ours. */
	dial6("2001:db8::2", 2, 24);
	dial6("2001:db8::3", 3, 23);
	dial6("2001:db8::4", 4, sizeof(struct sockaddr_in) - 1);
}

#define QUERY  "\0\1\1\0\0\1\0\0\0\0\0\0"
#define ANSWER "\0\1\x81\0\0\1\0\0\0\0\0\0"

static void ask(bool v6, uint16_t port, bool connected, const char *msg,
		size_t len)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const void *to = v6 ? (const void *)&in6 : &in;
	socklen_t size = v6 ? sizeof(in6) : sizeof(in);
	bl_autoclose int fd =
		socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	if (connected)
		MUST(!connect(fd, to, size) && send(fd, msg, len, 0) > 0);
	else
		MUST(sendto(fd, msg, len, 0, to, size) > 0);
}

#define ASK(v6, port, connected, bytes) \
	ask(v6, port, connected, bytes, sizeof(bytes) - 1)

static void asks(void)
{
	static const char tail[] = "\4evil\7example\0\0\1\0\1";
	char longest[300] = QUERY;
	size_t at = 12;

	ASK(false, 53, false, QUERY "\4evil\7example\0\0\1\0\1");
	ASK(false, 53, true, QUERY "\3wWw\4EVIL\7example\0\0\1\0\1");
	ASK(true, 53, false, QUERY "\3six\4evil\7example\0\0\x1c\0\1");
	ASK(true, 53, true, QUERY "\2ok\4evil\7example\0\0\1\0\1");
	ASK(false, 53, false, QUERY "\7notevil\7example\0\0\1\0\1");
	/* None of ours: another port, an answer, no name. */
	ASK(false, 54, false, QUERY "\4evil\7example\0\0\1\0\1");
	ASK(false, 53, false, ANSWER "\4evil\7example\0\0\1\0\1");
	ASK(false, 53, false, QUERY "\4evil\7exam");
	ASK(false, 53, false, QUERY);
	ASK(false, 53, false, "x");
	while (at < 12 + 240) {
		longest[at++] = 1;
		longest[at++] = 'A';
	}
	memcpy(longest + at, tail, sizeof(tail) - 1);
	ask(true, 53, false, longest, at + sizeof(tail) - 1);
}

/* Runs @fn in a process of its own, as DOER; adds what it says. */
static void as_doer(void (*fn)(struct bl_buf *), struct bl_buf *ret_said)
{
	struct bl_buf said = { 0 };
	char block[4096];
	int ends[2];
	ssize_t n;
	pid_t pid;

	MUST(!pipe2(ends, O_CLOEXEC));
	pid = fork();
	MUST(pid >= 0);
	if (!pid) {
		MUST(!setgid(DOER) && !setuid(DOER));
		fn(&said);
		MUST(write(ends[1], bl_buf_str(&said), said.len) ==
		     (ssize_t)said.len);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], block, sizeof(block))) > 0)
		MUST(!bl_buf_add(ret_said, block, n));
	close(ends[0]);
	MUST(waitpid(pid, NULL, 0) == pid);
}

static void everything(struct bl_buf *said)
{
	opens(said);
	execs(said);
	connects();
	asks();
}

void deeds_do(struct bl_buf *ret_said)
{
	/* So that the second time is as the first. */
	unlink("/t/new");
	unlink("/t/named (deleted)");
	as_doer(everything, ret_said);
}

void deeds_jailed(void)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid) {
		MUST(!chroot("/t/m") && !chdir("/"));
		MUST(!setgid(DOER) && !setuid(DOER));
		touch("/jailed", O_WRONLY | O_CREAT);
		_exit(0);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
}
