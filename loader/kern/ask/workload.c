/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/workload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

static const struct bl_content_bucket *bucket_at(const void *buckets,
						 uint32_t index);
#define BL_CONTENT_AT(src, index) bucket_at(src, index)
#include "bpf/dns.h"

#define DISCARD_PORT	9
#define EXECS_AT_ONCE	3
#define FORKS_AT_ONCE	8
#define ROUND_EXECS	3
#define ROUND_OPENS	32
#define ROUND_CONNECTS	32
#define ROUND_FORKS	4
#define ROUND_QUESTIONS 16
#define FURNISH_MODE	0755
#define FURNISHED_MODE	0600

/* What rules are usually about, and what is opened all day. */
static const char *const usual_paths[] = {
	"/etc/passwd",		"/etc/shadow",
	"/etc/gshadow",		"/etc/sudoers",
	"/etc/sudoers.d/belay", "/etc/ssh/sshd_config",
	"/etc/ld.so.preload",	"/etc/crontab",
	"/etc/hosts",		"/root/.ssh/authorized_keys",
	"/root/.bashrc",	"/var/spool/cron/crontabs/root",
	"/tmp/belay",		"/dev/null",
	"/proc/version",	"/bin/true",
};

/* Where folders may be replaced: nothing that a program needs to run. */
static const char *const furnished[] = { "/etc", "/root", "/var", "/tmp" };

/* Loopback, private and documentation addresses: content often ignores some. */
static const uint8_t usual_peers[][4] = { { 127, 0, 0, 1 },
					  { 192, 0, 2, 1 },
					  { 198, 51, 100, 1 },
					  { 10, 0, 0, 1 },
					  { 192, 168, 0, 1 } };

static const struct {
	const char *path, *argv[2];
} usual_commands[] = { { "/bin/true", { "true", NULL } },
		       { "/proc/self/exe", { "belay", "--version" } } };

/* The whole path of a file that is there, as the kernel names it. */
static bool resolve(const char *path, char ret[static BL_WORKLOAD_PATH_MAX])
{
	char real[PATH_MAX];

	if (!realpath(path, real) || strlen(real) >= BL_WORKLOAD_PATH_MAX)
		return false;
	memcpy(ret, real, strlen(real) + 1);
	return true;
}

static void add_path(struct bl_workload *w, const char *path)
{
	char real[BL_WORKLOAD_PATH_MAX];

	if (w->path_count == BL_WORKLOAD_PATHS_MAX || !resolve(path, real))
		return;
	for (unsigned i = 0; i < w->path_count; i++)
		if (strcmp(w->paths[i], real) == 0)
			return;
	memcpy(w->paths[w->path_count++], real, sizeof(real));
}

void bl_workload_init(struct bl_workload *w)
{
	*w = (struct bl_workload){ .execs = ROUND_EXECS,
				   .opens = ROUND_OPENS,
				   .connects = ROUND_CONNECTS,
				   .questions = ROUND_QUESTIONS,
				   .dns_fd = -1,
				   .forks = ROUND_FORKS };
	for (size_t i = 0; i < BL_ARRAY_SIZE(usual_paths); i++)
		add_path(w, usual_paths[i]);
	memcpy(w->peers, usual_peers, sizeof(usual_peers));
	w->peer_count = BL_ARRAY_SIZE(usual_peers);
	for (size_t i = 0; !w->command[0] && i < BL_ARRAY_SIZE(usual_commands);
	     i++) {
		if (!resolve(usual_commands[i].path, w->command))
			continue;
		memcpy(w->argv, usual_commands[i].argv,
		       sizeof(usual_commands[i].argv));
	}
}

/* Makes the folders above @path and the file. */
static void furnish_file(const char *path)
{
	bl_autofree char *copy = strdup(path);
	bl_autoclose int fd = -1;

	for (char *p = copy ? strchr(copy + 1, '/') : NULL; p;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(copy, FURNISH_MODE);
		*p = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		  FURNISHED_MODE);
}

static bool below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* An empty folder instead of @folder, with the files that belong below it. */
static void furnish_folder(const char *folder)
{
	if (mount("belay", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"))
		return; /* there is none, or it may not be */
	for (size_t i = 0; i < BL_ARRAY_SIZE(usual_paths); i++)
		if (below(usual_paths[i], folder))
			furnish_file(usual_paths[i]);
}

int bl_workload_furnish(void)
{
	/* Private first: a mount must not reach those we came from. */
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	for (size_t i = 0; i < BL_ARRAY_SIZE(furnished); i++)
		furnish_folder(furnished[i]);
	return 0;
}

/* Aiming */

static const struct bl_content_bucket *bucket_at(const void *buckets,
						 uint32_t index)
{
	return (const struct bl_content_bucket *)buckets + index;
}

static const void *buckets_of(const struct bl_content_hdr *hdr)
{
	return hdr + 1;
}

static bool reports_path(const struct bl_content_hdr *hdr, unsigned kind,
			 const char *path)
{
	char padded[BL_CONTENT_PATH_MAX + 1] = "";
	struct bl_content_marks marks;
	const char *end = path + strlen(path);
	int len = snprintf(padded, sizeof(padded), "%s", path);
	bool cut = len > BL_CONTENT_PATH_MAX;

	if (cut)
		len = BL_CONTENT_PATH_MAX;
	return bl_content_path(buckets_of(hdr), hdr, kind, padded,
			       (uint32_t)len, end, cut, &marks)
		       .action == BL_ACTION_EMIT;
}

static bool reports_peer(const struct bl_content_hdr *hdr,
			 const uint8_t peer[static 4])
{
	uint32_t address;

	memcpy(&address, peer, sizeof(address));
	return bl_content_addr(buckets_of(hdr), hdr, 0,
			       (uint64_t)ntohl(address) << 32, 0)
		       .action == BL_ACTION_EMIT;
}

static bool reports_domain(const struct bl_content_hdr *hdr)
{
	static const char name[] = BL_WORKLOAD_DOMAIN;
	struct bl_content_marks marks;

	return bl_content_domain(buckets_of(hdr), hdr, name + sizeof(name) - 1,
				 sizeof(name) - 1, &marks)
		       .action == BL_ACTION_EMIT;
}

static bool aim_paths(struct bl_workload *w, const struct bl_content_hdr *hdr)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w->path_count; i++)
		if (reports_path(hdr, BL_EVENT_OPEN, w->paths[i]))
			memmove(w->paths[kept++], w->paths[i],
				sizeof(w->paths[i]));
	if (kept)
		w->path_count = kept;
	return kept;
}

static bool aim_peers(struct bl_workload *w, const struct bl_content_hdr *hdr)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w->peer_count; i++)
		if (reports_peer(hdr, w->peers[i]))
			memmove(w->peers[kept++], w->peers[i],
				sizeof(w->peers[i]));
	if (kept)
		w->peer_count = kept;
	return kept;
}

void bl_workload_aim(struct bl_workload *w, const void *content,
		     struct bl_workload_done *ret)
{
	const struct bl_content_hdr *hdr = content;
	bool exec, open, connect;

	if (!hdr) {
		ret->reports = ret->visible = 1u << BL_EVENT_EXEC |
					      1u << BL_EVENT_OPEN |
					      1u << BL_EVENT_CONNECT;
		return;
	}
	exec = w->command[0] && reports_path(hdr, BL_EVENT_EXEC, w->command);
	open = aim_paths(w, hdr);
	connect = aim_peers(w, hdr);
	ret->visible = (unsigned)exec << BL_EVENT_EXEC |
		       (unsigned)open << BL_EVENT_OPEN |
		       (unsigned)connect << BL_EVENT_CONNECT |
		       (unsigned)reports_domain(hdr) << BL_EVENT_DNS;
	ret->reports = 0;
	for (unsigned kind = 0; kind < BL_EVENT_KINDS; kind++)
		if (hdr->kind_rules[kind] ||
		    hdr->default_action[kind] == BL_ACTION_EMIT)
			ret->reports |= 1u << kind;
}

/* Alone */

/* In this process's present network. */
static int loopback_socket(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	bl_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		return -1;
	return BL_TAKE_FD(fd);
}

void bl_workload_isolate(struct bl_workload *w,
			 const struct bl_workload_done *done)
{
	bl_autoclose int own = -1;

	if (!(done->visible & 1u << BL_EVENT_DNS))
		return;
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0 || unshare(CLONE_NEWNET))
		return;
	/* A socket stays in the network that it was made in. */
	w->dns_fd = loopback_socket();
	(void)!setns(own, CLONE_NEWNET);
}

/* Doing */

static void rest(const struct bl_workload *w)
{
	if (w->rest)
		w->rest(w->ctx);
}

/* After operation @i of a storm. */
static void burst(const struct bl_workload *w, unsigned i)
{
	if (i % BL_WORKLOAD_BURST == BL_WORKLOAD_BURST - 1)
		rest(w);
}

static void reap(unsigned *running)
{
	for (; *running; --*running)
		while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
			;
}

static void exec_storm(const struct bl_workload *w,
		       struct bl_workload_done *done)
{
	char *const env[] = { NULL };
	unsigned running = 0;
	uint64_t *n = &done->ops[BL_EVENT_EXEC];
	pid_t pid;

	for (unsigned i = 0; i < w->execs && *n < BL_WORKLOAD_EXECS_MAX; i++) {
		if (!w->command[0] ||
		    posix_spawn(&pid, w->command, NULL, NULL,
				(char *const *)(void *)w->argv, env))
			break;
		done->execs[*n] = (uint32_t)pid;
		++*n;
		if (++running == EXECS_AT_ONCE)
			reap(&running);
	}
	reap(&running);
}

static void fork_storm(const struct bl_workload *w,
		       struct bl_workload_done *done)
{
	unsigned running = 0;

	for (unsigned i = 0; i < w->forks; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0)
			break;
		done->forks++;
		if (++running == FORKS_AT_ONCE)
			reap(&running);
	}
	reap(&running);
}

static void open_storm(const struct bl_workload *w,
		       struct bl_workload_done *done)
{
	for (unsigned i = 0; w->path_count && i < w->opens; i++) {
		int fd = open(w->paths[i % w->path_count],
			      O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		int code = fd < 0 ? errno : 0;

		burst(w, i);
		if (fd < 0 && code != EPERM)
			continue; /* not one for a sensor to see */
		if (fd >= 0)
			close(fd);
		done->ops[BL_EVENT_OPEN]++;
	}
}

static void connect_storm(const struct bl_workload *w,
			  struct bl_workload_done *done)
{
	bl_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(DISCARD_PORT) };

	for (unsigned i = 0; fd >= 0 && i < w->connects; i++) {
		memcpy(&to.sin_addr, w->peers[i % w->peer_count],
		       sizeof(to.sin_addr));
		/* Without a route it fails, after the sensor has seen it. */
		(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
		done->ops[BL_EVENT_CONNECT]++;
		burst(w, i);
	}
}

/* Asks nobody: there is no server, and no other machine. */
static void dns_storm(const struct bl_workload *w,
		      struct bl_workload_done *done)
{
	static const char question[] =
		"\0\0\1\0\0\1\0\0\0\0\0\0\5belay\7invalid\0\0\1\0\1";
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(BL_DNS_PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (unsigned i = 0; w->dns_fd >= 0 && i < w->questions; i++) {
		if (sendto(w->dns_fd, question, sizeof(question) - 1, 0,
			   (struct sockaddr *)&to, sizeof(to)) > 0)
			done->ops[BL_EVENT_DNS]++;
		burst(w, i);
	}
}

void bl_workload_round(const struct bl_workload *w,
		       struct bl_workload_done *done)
{
	static void (*const storms[])(const struct bl_workload *,
				      struct bl_workload_done *) = {
		exec_storm, open_storm, connect_storm, dns_storm, fork_storm
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(storms); i++) {
		storms[i](w, done);
		rest(w);
	}
}
