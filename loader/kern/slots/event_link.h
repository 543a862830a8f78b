/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links to kprobes and tracepoints, made without libbpf, whose link keeps the
 * descriptor of its perf event open beside its own: let go of such a link so
 * that the event goes on (it is pinned), and that descriptor is left, one for
 * each program and commit of an agent. Here the event is closed at once; the
 * kernel's link holds it. For loader/kern only.
 */
#ifndef BL_KERN_EVENT_LINK_H
#define BL_KERN_EVENT_LINK_H

#include <bpf/libbpf.h>

/*
 * Attaches @prog where its section says: "kprobe/FUNCTION", "kretprobe/…",
 * "tracepoint/CATEGORY/NAME", "tp/…". -errno: nothing is attached
 * then, and libbpf may know another way (-ENOTSUP: the section is
 * none of these), or the words for it.
 */
int bl_event_link(const struct bpf_program *prog, int *ret_fd);

#endif
