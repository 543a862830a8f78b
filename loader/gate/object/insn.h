/* SPDX-License-Identifier: Apache-2.0 */
/* What can be read off one instruction (RFC 9669, section 5). */
#ifndef BL_GATE_OBJECT_INSN_H
#define BL_GATE_OBJECT_INSN_H

#include <linux/bpf.h>

/* Bytes that a load or store of memory moves: 1, 2, 4 or 8. */
static inline unsigned bl_insn_bytes(const struct bpf_insn *insn)
{
	switch (BPF_SIZE(insn->code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	case BPF_W:
		return 4;
	default:
		return 8;
	}
}

#endif
