/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sensor, and an event for every file that is about to be executed, where a
 * deny rule would be asked: of a script that is the script and then its
 * interpreter, while the sensor's own event names only the interpreter. These
 * events say that they are denials; nothing is denied.
 */
#include "bpf/sensor.bpf.c"

SEC("fentry/security_bprm_check")
int BPF_PROG(bl_check, struct linux_binprm *bprm)
{
	struct scratch *s = scratch_get();

	if (!s)
		return 0;
	file_match(s, bprm->file, BL_EVENT_EXEC);
	report(s, BL_EVENT_EXEC, BL_ACTION_DENY, path_size(s));
	scratch_put(s);
	return 0;
}
