/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/job.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC	   "belay job 1\n"
#define DIGITS_MAX 10
#define WALL_MAX   (1LL << 50) /* the year 37648 */

int bl_job_header(char ret[static BL_JOB_HEADER], size_t len)
{
	if (len > BL_JOB_BYTES - BL_JOB_HEADER)
		return -EFBIG;
	memset(ret, 0, BL_JOB_HEADER);
	snprintf(ret, BL_JOB_HEADER, MAGIC "%zu\n", len);
	return 0;
}

int bl_job_length(const char *memory, size_t size, size_t *ret_len)
{
	const size_t magic = strlen(MAGIC);
	size_t len = 0, i;

	if (size < BL_JOB_HEADER || memcmp(memory, MAGIC, magic) != 0)
		return -EBADMSG;
	for (i = 0; i < DIGITS_MAX && isdigit((unsigned char)memory[magic + i]);
	     i++)
		len = len * 10 + (size_t)(memory[magic + i] - '0');
	if (!i || memory[magic + i] != '\n' || len > size - BL_JOB_HEADER)
		return -EBADMSG;
	*ret_len = len;
	return 0;
}

void bl_job_go(char ret[static BL_JOB_GO_MAX], int64_t wall_ms,
	       const unsigned char seed[static BL_JOB_SEED])
{
	int n = snprintf(ret, BL_JOB_GO_MAX, "go %" PRId64 " ", wall_ms);

	for (size_t i = 0; i < BL_JOB_SEED; i++)
		n += snprintf(ret + n, BL_JOB_GO_MAX - (size_t)n, "%02x",
			      seed[i]);
	snprintf(ret + n, BL_JOB_GO_MAX - (size_t)n, "\n");
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

int bl_job_read_go(const char *line, int64_t *ret_wall_ms,
		   unsigned char ret_seed[static BL_JOB_SEED])
{
	unsigned char seed[BL_JOB_SEED];
	long long wall;
	char *p;

	if (strncmp(line, "go ", 3) != 0 || !isdigit((unsigned char)line[3]))
		return -EBADMSG;
	errno = 0;
	wall = strtoll(line + 3, &p, 10);
	if (errno || wall > WALL_MAX || *p++ != ' ')
		return -EBADMSG;
	for (size_t i = 0; i < BL_JOB_SEED; i++) {
		int high = hex(*p), low = high < 0 ? -1 : hex(p[1]);

		if (low < 0)
			return -EBADMSG;
		seed[i] = (unsigned char)(high << 4 | low);
		p += 2;
	}
	if (*p && strcmp(p, "\n") != 0)
		return -EBADMSG;
	memcpy(ret_seed, seed, sizeof(seed));
	*ret_wall_ms = wall;
	return 0;
}
