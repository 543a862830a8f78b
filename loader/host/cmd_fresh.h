/* SPDX-License-Identifier: Apache-2.0 */
/* Of belay status: how fresh what this host trusts is (loader/trust/fresh.h). */
#ifndef BL_HOST_CMD_FRESH_H
#define BL_HOST_CMD_FRESH_H

#include <jansson.h>
#include <stdbool.h>

#include "loader/host/host.h"

/* null: this host trusts no root and asks nobody. */
json_t *bl_host_fresh_json(const struct bl_host *host);

/* @kept: an agent runs here. Nothing for a host that trusts no root. */
void bl_host_fresh_print(const struct bl_host *host, bool kept, bool colour);

#endif
