/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/depot.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define REQUEST_MAX 2048

void bl_depot_close(struct bl_depot *d)
{
	for (size_t i = 0; i < BL_DEPOT_CALLS; i++)
		if (d->call[i] >= 0)
			close(d->call[i]);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int bl_depot_open(struct bl_depot *ret, struct bl_err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);

	*ret = (struct bl_depot){ .fd = -1 };
	for (size_t i = 0; i < BL_DEPOT_CALLS; i++)
		ret->call[i] = -1;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 IPPROTO_TCP);
	if (ret->fd < 0 || bind(ret->fd, (struct sockaddr *)&at, len) < 0 ||
	    listen(ret->fd, 64) < 0 ||
	    getsockname(ret->fd, (struct sockaddr *)&at, &len) < 0)
		return bl_err_errno(err, -errno,
				    "cannot listen on the loopback");
	ret->port = ntohs(at.sin_port);
	return 0;
}

/* Answers once the request has come, whatever it asks; true: it is over. */
static bool answer(const struct bl_depot *d, int fd)
{
	char request[REQUEST_MAX], reply[256];
	ssize_t n = recv(fd, request, sizeof(request), 0);
	int len;

	if (n < 0)
		return errno != EAGAIN && errno != EINTR;
	len = snprintf(reply, sizeof(reply),
		       "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n"
		       "Connection: close\r\n\r\n%s",
		       strlen(d->word), d->word);
	/* Less than any socket's buffer; who does not take it asks again. */
	if (n > 0 && send(fd, reply, (size_t)len, MSG_NOSIGNAL) < 0)
		return true;
	shutdown(fd, SHUT_WR);
	return true;
}

void bl_depot_serve(struct bl_depot *d)
{
	for (size_t i = 0; i < BL_DEPOT_CALLS; i++) {
		if (d->call[i] < 0)
			d->call[i] = accept4(d->fd, NULL, NULL,
					     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (d->call[i] < 0)
			continue;
		if (answer(d, d->call[i])) {
			close(d->call[i]);
			d->call[i] = -1;
		}
	}
}
