/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/event_link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define KPROBE "/sys/bus/event_source/devices/kprobe"

/* The number in a file of the kernel's, behind @before; -errno. */
static long number_in(const char *path, const char *before)
{
	bl_autobuf struct bl_buf text = { 0 };
	size_t skip = strlen(before);
	int r = bl_file_read(path, 4096, &text, NULL);

	if (r)
		return r;
	if (strncmp(bl_buf_str(&text), before, skip) != 0)
		return -EINVAL;
	return strtol(bl_buf_str(&text) + skip, NULL, 10);
}

/* "FUNCTION", without an offset: that is left to libbpf. */
static int kprobe(const char *function, bool returns,
		  struct perf_event_attr *attr)
{
	long type = number_in(KPROBE "/type", "");
	long bit = returns ? number_in(KPROBE "/format/retprobe", "config:")
			   : 0;

	if (type < 0 || bit < 0)
		return -ENOENT;
	if (strchr(function, '+') || bit > 63)
		return -ENOTSUP;
	attr->type = (__u32)type;
	if (returns)
		attr->config = 1ULL << bit;
	attr->config1 = (__u64)(uintptr_t)function;
	return 0;
}

static int tracepoint(const char *where, struct perf_event_attr *attr)
{
	static const char *const roots[] = { "/sys/kernel/tracing",
					     "/sys/kernel/debug/tracing" };
	long id = -ENOENT;

	for (size_t i = 0; id < 0 && i < BL_ARRAY_SIZE(roots); i++) {
		bl_autofree char *path =
			bl_path("%s/events/%s/id", roots[i], where);

		if (path)
			id = number_in(path, "");
	}
	if (id < 0)
		return (int)id;
	attr->type = PERF_TYPE_TRACEPOINT;
	attr->config = (__u64)id;
	return 0;
}

static int event_of(const char *section, struct perf_event_attr *attr)
{
	const char *target = strchr(section, '/');
	size_t len = target ? (size_t)(target - section) : 0;

	if (!len || strstr(section, ".."))
		return -ENOTSUP;
	target++;
	if (!strncmp(section, "kprobe/", len + 1))
		return kprobe(target, false, attr);
	if (!strncmp(section, "kretprobe/", len + 1))
		return kprobe(target, true, attr);
	if (!strncmp(section, "tp/", len + 1) ||
	    !strncmp(section, "tracepoint/", len + 1))
		return tracepoint(target, attr);
	return -ENOTSUP;
}

int bl_event_link(const struct bpf_program *prog, int *ret_fd)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	bl_autoclose int event = -1;
	bl_autoclose int link = -1;
	int r = event_of(bpf_program__section_name(prog), &attr);

	if (r)
		return r;
	event = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1,
			     PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	/* -EINVAL before 5.15. */
	link = bpf_link_create(bpf_program__fd(prog), event, BPF_PERF_EVENT,
			       NULL);
	if (link < 0)
		return link;
	if (ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	*ret_fd = BL_TAKE_FD(link);
	return 0;
}
