/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/selftest.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/proc.h"

#define PROBE_FILE "/proc/self/status"

/* What it takes to ask was not to be had; the answer may be any. */
static bool not_made(int code)
{
	static const int codes[] = { -EAGAIN, -ENOMEM, -EMFILE, -ENFILE,
				     -ENOBUFS };

	for (size_t i = 0; i < BL_ARRAY_SIZE(codes); i++)
		if (code == codes[i])
			return true;
	return false;
}

static int can_open(struct bl_err *err)
{
	bl_autoclose int fd = open(PROBE_FILE, O_RDONLY | O_CLOEXEC);
	char byte;

	if (fd < 0 || read(fd, &byte, 1) != 1)
		return bl_err_errno(err, -errno, "cannot read " PROBE_FILE);
	return 0;
}

static int run(const char *const *argv, struct bl_err *err)
{
	const struct bl_proc_opts opts = { .timeout_ms = BL_SELFTEST_MS };

	return bl_proc_check(argv, &opts, err);
}

/* The smallest program, else ourselves: a policy may well forbid one. */
static int can_run(struct bl_err *err)
{
	static const char *const small[] = { "/bin/true", NULL };
	static const char *const self[] = { "/proc/self/exe", "--version",
					    NULL };
	int r = run(small, err);

	/* What is short of processes or time now is so for the other one. */
	if (!r || r == -ECANCELED || r == -ETIMEDOUT || not_made(r))
		return r;
	r = run(self, err);
	return r ? bl_err_wrap(err, r, "cannot run a program") : 0;
}

static int listen_here(struct sockaddr_in *ret)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	bl_autoclose int fd =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 1) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	*ret = at;
	return BL_TAKE_FD(fd);
}

/* A host without a loopback is one all the same. */
static bool no_network(int code)
{
	return code == -EADDRNOTAVAIL || code == -EAFNOSUPPORT ||
	       code == -ENETDOWN || code == -ENETUNREACH;
}

static int can_connect(struct bl_err *err)
{
	struct sockaddr_in at;
	bl_autoclose int server = listen_here(&at);
	bl_autoclose int fd = -1;
	struct pollfd p = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	int r, code = 0;

	if (server < 0)
		return no_network(server)
			       ? 0
			       : bl_err_errno(err, server, "cannot listen");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    IPPROTO_TCP);
	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot make a socket");
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return 0;
	if (errno != EINPROGRESS)
		return no_network(-errno)
			       ? 0
			       : bl_err_errno(err, -errno,
					      "cannot connect to itself");
	p.fd = fd;
	r = poll(&p, 1, BL_SELFTEST_MS);
	if (r < 0)
		return bl_err_errno(err, -errno, "cannot connect to itself");
	if (!r)
		return bl_err_set(err, -ETIMEDOUT,
				  "cannot connect to itself within %d ms",
				  BL_SELFTEST_MS);
	if (!getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) && code)
		return bl_err_errno(err, -code, "cannot connect to itself");
	return 0;
}

static int ask(const char *check, struct bl_err *err)
{
	const char *const argv[] = { "/bin/sh", "-c", check, NULL };
	int r = can_open(err);

	if (!r)
		r = can_run(err);
	if (!r)
		r = can_connect(err);
	if (r || !check)
		return r;
	r = run(argv, err);
	return r ? bl_err_wrap(err, r, "the owner's check") : 0;
}

int bl_selftest(const char *check, struct bl_err *err)
{
	int r = ask(check, err);

	return not_made(r) ? -EAGAIN : r;
}
