/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

int bl_notify(const char *lines, struct bl_err *err)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = name ? strlen(name) : 0;
	bl_autoclose int fd = -1;
	socklen_t size;

	if (!len)
		return 0;
	if ((*name != '/' && *name != '@') || len < 2 ||
	    len >= sizeof(to.sun_path))
		return bl_err_set(err, -EINVAL,
				  "NOTIFY_SOCKET '%s' is no socket's name",
				  name);
	memcpy(to.sun_path, name, len);
	if (*name == '@')
		to.sun_path[0] = '\0'; /* of the abstract name space */
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    sendto(fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&to, size) < 0)
		return bl_err_errno(err, -errno,
				    "cannot tell the service manager");
	return 0;
}

static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	uint64_t n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	n = strtoull(text, &end, 10);
	return *end ? 0 : n;
}

uint64_t bl_notify_watchdog_ms(void)
{
	const char *pid = getenv("WATCHDOG_PID");

	if (pid && number("WATCHDOG_PID") != (uint64_t)getpid())
		return 0;
	return number("WATCHDOG_USEC") / 1000;
}
