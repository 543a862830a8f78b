// SPDX-License-Identifier: GPL-2.0-only
/* Functions but no program. */
int helper(int x);

int helper(int x)
{
	return x + 1;
}
