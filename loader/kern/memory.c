/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/memory.h"

#include <bpf/bpf.h>
#include <stdio.h>

#include "loader/base/cleanup.h"

uint64_t bl_memory_told(int fd)
{
	bl_autofclose FILE *f = NULL;
	unsigned long long bytes = 0;
	char path[48], line[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	return bytes;
}

uint64_t bl_memory_of_map(int fd)
{
	uint64_t bytes = bl_memory_told(fd);
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (!bytes || bpf_obj_get_info_by_fd(fd, &info, &len) ||
	    info.type != BPF_MAP_TYPE_RINGBUF || bytes >= info.max_entries)
		return bytes;
	return info.max_entries;
}
