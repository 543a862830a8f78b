/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>

#include "bpf/event.h"
#include "canary/agent/daemon.h"
#include "canary/ledger/record.h"
#include "loader/base/text.h"
#include "loader/bundle/content.h"

void bl_event_line(const struct bl_event *e, char *ret, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "?", text[BL_EVENT_PATH_MAX + 128];
	const char *kind = bl_event_kind_name(e->kind);
	const char *denied = e->action == BL_ACTION_DENY ? " DENIED" : "";

	if (e->kind == BL_EVENT_CONNECT) {
		inet_ntop(e->addr.family, e->addr.addr, address,
			  sizeof(address));
		snprintf(text, sizeof(text), "%s%s uid %u %s[%u] %s port %u",
			 kind, denied, e->uid, e->comm, e->tgid, address,
			 e->addr.port);
	} else {
		snprintf(text, sizeof(text), "%s%s uid %u %s[%u] %s", kind,
			 denied, e->uid, e->comm, e->tgid, e->path.path);
	}
	/* Paths and names of processes are anybody's bytes. */
	bl_text_copy(ret, size, text);
}
