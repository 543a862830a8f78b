/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command with less than root has.
 *
 * usage: less nobody COMMAND…		as another user
 *	  less bpf COMMAND…		as root with CAP_BPF, and without
 *					CAP_PERFMON and CAP_SYS_ADMIN
 */
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NOBODY 65534

static int become_nobody(void)
{
	return setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY);
}

/* Root gets by exec what is in the bounding set. */
static int keep_bpf(void)
{
	return prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) ||
	       prctl(PR_CAPBSET_DROP, CAP_PERFMON);
}

int main(int argc, char **argv)
{
	int r = -1;

	if (argc > 2 && !strcmp(argv[1], "nobody"))
		r = become_nobody();
	else if (argc > 2 && !strcmp(argv[1], "bpf"))
		r = keep_bpf();
	if (!r)
		execvp(argv[2], argv + 2);
	perror("less");
	return 120;
}
