/* SPDX-License-Identifier: Apache-2.0 */
/* Does things, one after the other, and looks at what was reported. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/guest/probe.h"

#define UID 1234

static struct bl_event events[4096];
static unsigned event_count;

static int on_event(void *ctx, void *data, size_t len)
{
	(void)ctx;
	CHECK(bl_event_ok(data, len));
	if (event_count < BL_ARRAY_SIZE(events)) {
		memset(&events[event_count], 0, sizeof(events[0]));
		memcpy(&events[event_count++], data,
		       len < sizeof(events[0]) ? len : sizeof(events[0]));
	}
	return 0;
}

/* Looking */

static void forget(void)
{
	drain();
	event_count = 0;
}

/* The only event of this kind and path since forget(); NULL otherwise. */
static const struct bl_event *only(unsigned kind, const char *path)
{
	const struct bl_event *found = NULL;
	unsigned i, n = 0;

	drain();
	for (i = 0; i < event_count; i++) {
		if (events[i].kind != kind ||
		    (path && strcmp(events[i].path.path, path)))
			continue;
		found = &events[i];
		n++;
	}
	checks++;
	if (n == 1)
		return found;
	fail("%s %s: %u events instead of 1", bl_event_kind_name(kind),
	     path ? path : "", n);
	for (i = 0; i < event_count; i++)
		printf("      had %s %s (rule %s)\n",
		       bl_event_kind_name(events[i].kind),
		       events[i].kind == BL_EVENT_CONNECT ? ""
							  : events[i].path.path,
		       bl_content_rule_name(bin.data, events[i].rule));
	return NULL;
}

static void none(unsigned kind)
{
	unsigned i;

	drain();
	checks++;
	for (i = 0; i < event_count; i++)
		if (events[i].kind == kind)
			fail("an unexpected %s event",
			     bl_event_kind_name(kind));
}

static void check_rule(const struct bl_event *e, const char *name,
		       unsigned action)
{
	if (!e)
		return;
	checks += 2;
	if (strcmp(bl_content_rule_name(bin.data, e->rule), name))
		fail("rule %s instead of %s",
		     bl_content_rule_name(bin.data, e->rule), name);
	if (e->action != action)
		fail("action %s instead of %s", bl_action_name(e->action),
		     bl_action_name(action));
}

/* Doing */

static void copy_self(const char *path)
{
	char block[65536];
	int in = open("/proc/self/exe", O_RDONLY);
	int out = open(path, O_WRONLY | O_CREAT, 0755);
	ssize_t n;

	MUST(in >= 0 && out >= 0);
	while ((n = read(in, block, sizeof(block))) > 0)
		MUST(write(out, block, n) == n);
	close(in);
	close(out);
}

/* errno of the exec, 0 when it worked. */
static int run(const char *path, uid_t uid, const char *cgroup)
{
	int status, fd;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid) {
		if (cgroup) {
			fd = open(cgroup, O_WRONLY | O_CLOEXEC);
			if (fd < 0 || write(fd, "0", 1) != 1)
				_exit(126);
		}
		if (uid && setuid(uid))
			_exit(127);
		execl(path, path, "exit", NULL);
		_exit(errno);
	}
	MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void dial(int family, const char *text, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port),
				    .sin6_flowinfo = htonl(0x1234) };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	/* Whether anything is there does not matter. */
	if (family == AF_INET) {
		MUST(inet_pton(family, text, &in.sin_addr) == 1);
		(void)connect(fd, (void *)&in, sizeof(in));
	} else {
		MUST(inet_pton(family, text, &in6.sin6_addr) == 1);
		(void)connect(fd, (void *)&in6, sizeof(in6));
	}
	close(fd);
}

/* The checks */

static void check_identity(void)
{
	const struct bl_event *e;
	struct stat st;
	int r;

	mkdir("/sys/fs/cgroup/probe", 0755);
	MUST(!stat("/sys/fs/cgroup/probe", &st));
	copy_self("/t/program");
	forget();
	r = run("/t/program", UID, "/sys/fs/cgroup/probe/cgroup.procs");
	if (r)
		fail("/t/program could not be run: %s", strerror(r));
	e = only(BL_EVENT_EXEC, "/t/program");
	check_rule(e, "default", BL_ACTION_EMIT);
	if (!e)
		return;
	CHECK(e->uid == UID);
	CHECK(!strcmp(e->comm, "program"));
	CHECK(e->cgroup_id == st.st_ino);
	CHECK(e->generation == GENERATION);
	CHECK(e->version == 1 || e->version == 3);
	CHECK(e->pid == e->tgid && e->pid != (uint32_t)getpid());
	CHECK(e->ts_ns > 0);
}

static void *in_thread(void *ret_tid)
{
	*(long *)ret_tid = syscall(SYS_gettid);
	touch("/t/thread");
	return NULL;
}

static void check_thread(void)
{
	const struct bl_event *e;
	pthread_t thread;
	long tid = 0;

	forget();
	MUST(!pthread_create(&thread, NULL, in_thread, &tid));
	pthread_join(thread, NULL);
	e = only(BL_EVENT_OPEN, "/t/thread");
	if (!e)
		return;
	CHECK(e->pid == (uint32_t)tid);
	CHECK(e->tgid == (uint32_t)getpid());
	CHECK(e->uid == 0);
}

static void check_mounts(void)
{
	MUST(!mkdir("/t/m", 0755) && !mount("a", "/t/m", "tmpfs", 0, NULL));
	MUST(!mkdir("/t/m/n", 0755) && !mount("b", "/t/m/n", "tmpfs", 0, NULL));
	MUST(!mkdir("/t/m/n/deep", 0755) && !mkdir("/t/bind", 0755));
	MUST(!mount("/t/m/n/deep", "/t/bind", NULL, MS_BIND, NULL));
	MUST(!mount("c", "/t/m/n/deep", "tmpfs", 0, NULL));
	forget();
	CHECK(touch("/t/m/n/deep/file") == 0);
	check_rule(only(BL_EVENT_OPEN, "/t/m/n/deep/file"), "all",
		   BL_ACTION_EMIT);
	forget();
	CHECK(touch("/t/bind/file") == 0);
	check_rule(only(BL_EVENT_OPEN, "/t/bind/file"), "all", BL_ACTION_EMIT);
	/* As named: by a symbolic link, by "..", by a hard link's other name. */
	MUST(!symlink("/t/m/n/deep/file", "/t/link"));
	forget();
	CHECK(touch("/t/link") == 0);
	CHECK(touch("/t/m/../bind/./file") == 0);
	only(BL_EVENT_OPEN, "/t/m/n/deep/file");
	only(BL_EVENT_OPEN, "/t/bind/file");
	/* The root of a mount is a name of the mount below it. */
	forget();
	close(open("/t/m/n", O_RDONLY | O_DIRECTORY));
	only(BL_EVENT_OPEN, "/t/m/n");
	/* Nothing outside of the content's prefix. */
	forget();
	touch("/elsewhere");
	touch("/t/quiet");
	none(BL_EVENT_OPEN);
}

static void check_chroot(void)
{
	pid_t pid;

	forget();
	pid = fork();
	if (!pid)
		_exit(chroot("/t/m") || chdir("/") || touch("/jailed"));
	MUST(waitpid(pid, NULL, 0) == pid);
	only(BL_EVENT_OPEN, "/t/m/jailed");
}

/* Makes folders named by @fill, one in the other, each @width long. */
static void dig(unsigned depth, unsigned width, char fill, char *ret_path)
{
	char name[256];
	unsigned i;

	memset(name, fill, width);
	name[width] = '\0';
	strcpy(ret_path, "/t");
	MUST(!chdir("/t"));
	for (i = 0; i < depth; i++) {
		MUST(!mkdir(name, 0755) && !chdir(name));
		strcat(strcat(ret_path, "/"), name);
	}
	MUST(!touch("end"));
	MUST(!chdir("/"));
	strcat(ret_path, "/end");
}

static void check_long(void)
{
	const struct bl_event *e;
	char path[4096];

	forget();
	dig(10, 60, 'l', path);
	path[BL_CONTENT_PATH_MAX] = '\0';
	e = only(BL_EVENT_OPEN, path);
	check_rule(e, "all", BL_ACTION_EMIT);
	CHECK(e && e->path.flags == BL_EVENT_PATH_CUT);
	CHECK(e && e->path.len == BL_CONTENT_PATH_MAX);
	/* 255 bytes exactly are not cut. */
	forget();
	dig(1, 248, 'x', path);
	MUST(strlen(path) == 255);
	e = only(BL_EVENT_OPEN, path);
	CHECK(e && !e->path.flags && e->path.len == 255);
	/* Deeper than the sensor walks: reported whatever the content says,
	 * with the end of the path. */
	forget();
	dig(80, 2, 'd', path);
	e = only(BL_EVENT_OPEN, NULL);
	check_rule(e, "default", BL_ACTION_EMIT);
	CHECK(e && e->path.flags == BL_EVENT_PATH_PARTIAL);
	CHECK(e && !strncmp(e->path.path, "dd/dd/", 6) &&
	      !strcmp(e->path.path + e->path.len - 6, "dd/end"));
}

static void check_connect(void)
{
	static const struct {
		int family;
		const char *to;
		int as;
		const char *reported, *rule; /* NULL: ignored */
	} cases[] = {
		{ AF_INET, "127.0.0.1", AF_INET, "127.0.0.1", "default" },
		{ AF_INET, "127.1.2.3", 0, NULL, NULL },
		{ AF_INET, "127.1.0.9", AF_INET, "127.1.0.9", "one" },
		{ AF_INET6, "::1", AF_INET6, "::1", "default" },
		{ AF_INET6, "::ffff:127.0.0.7", AF_INET, "127.0.0.7",
		  "default" },
		{ AF_INET6, "::ffff:127.1.0.7", 0, NULL, NULL },
		{ AF_INET6, "2001:db8::12:34", AF_INET6, "2001:db8::12:34",
		  "default" },
		{ AF_INET6, "fd12::1", 0, NULL, NULL },
		{ AF_INET6, "fd00::1", AF_INET6, "fd00::1", "six-one" },
	};
	char text[INET6_ADDRSTRLEN];
	const struct bl_event *e;
	struct sockaddr_un un = { .sun_family = AF_UNIX,
				  .sun_path = "/t/socket" };
	unsigned i;
	int fd;

	for (i = 0; i < BL_ARRAY_SIZE(cases); i++) {
		forget();
		dial(cases[i].family, cases[i].to, 4000 + i);
		if (!cases[i].rule) {
			none(BL_EVENT_CONNECT);
			continue;
		}
		e = only(BL_EVENT_CONNECT, NULL);
		check_rule(e, cases[i].rule, BL_ACTION_EMIT);
		if (!e)
			continue;
		CHECK(e->addr.family == cases[i].as);
		CHECK(e->addr.port == 4000 + i);
		inet_ntop(cases[i].as, e->addr.addr, text, sizeof(text));
		if (strcmp(text, cases[i].reported))
			fail("%s instead of %s", text, cases[i].reported);
	}
	forget();
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)connect(fd, (void *)&un, sizeof(un));
	close(fd);
	none(BL_EVENT_CONNECT);
}

static void check_deny(void)
{
	struct bl_stats before, after;
	const struct bl_event *e;
	FILE *f;

	mkdir("/t/locked", 0755);
	copy_self("/t/evil");
	MUST(f = fopen("/t/script", "w"));
	fputs("#!/t/program\n", f);
	fclose(f);
	MUST(!chmod("/t/script", 0755));
	forget();
	before = stats();
	CHECK(touch("/t/locked/door") == -EPERM);
	e = only(BL_EVENT_OPEN, "/t/locked/door");
	check_rule(e, "locked", BL_ACTION_DENY);
	CHECK(e && !strcmp(e->comm, "sensor_probe"));
	CHECK(touch("/t/locked/key") == 0);
	check_rule(only(BL_EVENT_OPEN, "/t/locked/key"), "key", BL_ACTION_EMIT);
	forget();
	CHECK(run("/t/evil", 0, NULL) == EPERM);
	check_rule(only(BL_EVENT_EXEC, NULL), "evil", BL_ACTION_DENY);
	forget();
	CHECK(run("/t/script", 0, NULL) == EPERM);
	check_rule(only(BL_EVENT_EXEC, NULL), "script", BL_ACTION_DENY);
	CHECK(run("/t/program", 0, NULL) == 0);
	after = stats();
	CHECK(after.denied - before.denied == 3);
}

int events_mode(const char *path)
{
	struct bl_stats s;

	MUST(!mkdir("/t", 0755) || errno == EEXIST);
	MUST(!mount("t", "/t", "tmpfs", 0, NULL));
	start(path, true, on_event);
	check_identity();
	check_thread();
	check_mounts();
	check_chroot();
	check_long();
	check_connect();
	check_deny();
	s = stats();
	CHECK(s.dropped == 0);
	CHECK(s.torn == 0);
	/* Every operation seen ends in exactly one of these. */
	CHECK(s.seen == s.emitted + s.ignored + s.dropped + s.torn);
	printf("stats: seen %llu emitted %llu ignored %llu denied %llu\n",
	       s.seen, s.emitted, s.ignored, s.denied);
	return 0;
}
