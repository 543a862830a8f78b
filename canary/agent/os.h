/* SPDX-License-Identifier: Apache-2.0 */
/* What this host's system calls itself, by /etc/os-release. */
#ifndef BL_CANARY_OS_H
#define BL_CANARY_OS_H

#include <stddef.h>

/* "Debian GNU/Linux 12 (bookworm)"; "" if it does not say. */
void bl_os_name(char *ret, size_t size);

#endif
