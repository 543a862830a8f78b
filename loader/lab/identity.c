/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/identity.h"

int bl_identity_stat(struct bl_buf *out, const struct stat *st)
{
	return bl_buf_printf(out, " %llx:%llx:%lld:%lld.%09ld:%lld.%09ld",
			     (unsigned long long)st->st_dev,
			     (unsigned long long)st->st_ino,
			     (long long)st->st_size,
			     (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			     (long long)st->st_ctim.tv_sec,
			     st->st_ctim.tv_nsec);
}

uint64_t bl_identity_hash(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}
