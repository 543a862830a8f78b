/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/places.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define LOOPBACK     1 /* its index in every network namespace */
#define CGROUP_ROOT  "/sys/fs/cgroup"
#define CLOCK_PERIOD 10000000 /* ns between two samples */

struct bl_places {
	char cgroup[64]; /* path of our folder; "" if there is none */
	int cgroup_fd, netns_fd;
	bool tc; /* there is a clsact on the loopback device */
};

static int make(struct bl_places **ret)
{
	struct bl_places *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->cgroup_fd = p->netns_fd = -1;
	*ret = p;
	return 0;
}

static int cgroup(struct bl_places *p)
{
	if (p->cgroup_fd >= 0)
		return p->cgroup_fd;
	snprintf(p->cgroup, sizeof(p->cgroup), CGROUP_ROOT "/belay-probe.%d",
		 (int)getpid());
	if (mkdir(p->cgroup, 0755) < 0 && errno != EEXIST)
		return -errno;
	p->cgroup_fd = open(p->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->cgroup_fd < 0 ? -errno : p->cgroup_fd;
}

static int netns(struct bl_places *p)
{
	if (p->netns_fd < 0)
		p->netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return p->netns_fd < 0 ? -errno : p->netns_fd;
}

static int to_link(struct bpf_link *link, struct bpf_link **ret)
{
	if (!link)
		return -errno;
	*ret = link;
	return 0;
}

static int on_cgroup(struct bl_places *p, const struct bpf_program *prog,
		     struct bpf_link **ret)
{
	int fd = cgroup(p);

	return fd < 0 ? fd : to_link(bpf_program__attach_cgroup(prog, fd), ret);
}

static int on_netns(struct bl_places *p, const struct bpf_program *prog,
		    struct bpf_link **ret)
{
	int fd = netns(p);

	return fd < 0 ? fd : to_link(bpf_program__attach_netns(prog, fd), ret);
}

static int on_xdp(struct bl_places *p, const struct bpf_program *prog,
		  struct bpf_link **ret)
{
	(void)p;
	return to_link(bpf_program__attach_xdp(prog, LOOPBACK), ret);
}

static int on_tc(struct bl_places *p, const struct bpf_program *prog,
		 struct bpf_link **ret)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = LOOPBACK,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(prog));
	int r = p->tc ? 0 : bpf_tc_hook_create(&hook);

	/* A guest has no modules, and kernels have this qdisc as one. */
	if (r == -ENOENT)
		return -EOPNOTSUPP;
	if (r < 0 && r != -EEXIST)
		return r;
	p->tc = true;
	*ret = NULL;
	return bpf_tc_attach(&hook, &opts);
}

/* Closing the link closes the event. */
static int on_clock(struct bl_places *p, const struct bpf_program *prog,
		    struct bpf_link **ret)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = CLOCK_PERIOD,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1,
			      PERF_FLAG_FD_CLOEXEC);
	int r;

	(void)p;
	if (fd < 0)
		return -errno;
	r = to_link(bpf_program__attach_perf_event(prog, fd), ret);
	if (r < 0)
		close(fd);
	return r;
}

static const struct {
	enum bpf_prog_type type;
	int (*attach)(struct bl_places *, const struct bpf_program *,
		      struct bpf_link **);
} kinds[] = {
	{ BPF_PROG_TYPE_CGROUP_SKB, on_cgroup },
	{ BPF_PROG_TYPE_CGROUP_SOCK, on_cgroup },
	{ BPF_PROG_TYPE_CGROUP_SOCK_ADDR, on_cgroup },
	{ BPF_PROG_TYPE_CGROUP_SOCKOPT, on_cgroup },
	{ BPF_PROG_TYPE_CGROUP_SYSCTL, on_cgroup },
	{ BPF_PROG_TYPE_CGROUP_DEVICE, on_cgroup },
	{ BPF_PROG_TYPE_SOCK_OPS, on_cgroup },
	{ BPF_PROG_TYPE_FLOW_DISSECTOR, on_netns },
	{ BPF_PROG_TYPE_SK_LOOKUP, on_netns },
	{ BPF_PROG_TYPE_XDP, on_xdp },
	{ BPF_PROG_TYPE_SCHED_CLS, on_tc },
	{ BPF_PROG_TYPE_PERF_EVENT, on_clock },
};

int bl_places_attach(struct bl_places **places, const struct bpf_program *prog,
		     struct bpf_link **ret_link)
{
	size_t i;
	int r = *places ? 0 : make(places);

	if (r < 0)
		return r;
	for (i = 0; i < BL_ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == bpf_program__type(prog))
			return kinds[i].attach(*places, prog, ret_link);
	return -EOPNOTSUPP;
}

void bl_places_leave(struct bl_places **places)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = LOOPBACK,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct bl_places *p = *places;

	if (!p)
		return;
	if (p->tc)
		bpf_tc_hook_destroy(&hook);
	if (p->netns_fd >= 0)
		close(p->netns_fd);
	if (p->cgroup_fd >= 0)
		close(p->cgroup_fd);
	if (p->cgroup[0])
		rmdir(p->cgroup);
	free(p);
	*places = NULL;
}
