/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the running kernel has the function, tracepoint or LSM hook that a
 * program's section names, without a load: libbpf finds out only after it has
 * made all maps and loaded all programs before it, and stops there.
 *
 *	if (bl_hooks_lack(program, name, sizeof(name))) …
 *
 * The first question reads the kernel's BTF (some 5 MB and a tenth of a second
 * under emulation), so it is for whoever has met one missing hook already. It
 * is kept for the next one, as long as the process lives; one thread, as with
 * libbpf's messages.
 */
#ifndef BL_KERN_HOOKS_H
#define BL_KERN_HOOKS_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * True if it is certain that @program cannot find its hook here; *ret_name
 * (@size bytes) is what the kernel's BTF would have to call it. False where
 * that is not known: then the kernel is to be asked.
 */
bool bl_hooks_lack(const struct bpf_program *program, char *ret_name,
		   size_t size);

#endif
