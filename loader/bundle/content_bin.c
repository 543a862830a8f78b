/* SPDX-License-Identifier: Apache-2.0 */
/* Content as a file, and its binary form: checked, taken apart, applied. */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* What the interpreter calls @src is the checked binary. */
#define BL_CONTENT_AT(src, index) (bl_content_buckets(src) + (index))
struct bl_content_bucket;
const struct bl_content_bucket *bl_content_buckets(const void *bin);
#include "bpf/content_check.h"
#include "loader/bundle/content.h"

bool bl_content_is(const char *path, const void *data, size_t len)
{
	static const unsigned char magics[][4] = {
		{ 0x7f, 'E', 'L', 'F' }, { 0x28, 0xb5, 0x2f, 0xfd } /* zstd */
	};
	const char *text = data, *dot = strrchr(path, '.');
	size_t i;

	for (i = 0; i < 2; i++)
		if (len >= 4 && !memcmp(data, magics[i], 4))
			return false;
	for (i = 0; i < len && isspace((unsigned char)text[i]); i++)
		;
	return (i < len && text[i] == '{') || (dot && !strcmp(dot, ".json"));
}

const struct bl_content_hdr *bl_content_header(const void *bin)
{
	return bin;
}

const struct bl_content_bucket *bl_content_buckets(const void *bin)
{
	return (const void *)((const char *)bin +
			      sizeof(struct bl_content_hdr));
}

static const char *names(const void *bin)
{
	return (const char *)(bl_content_buckets(bin) +
			      bl_content_header(bin)->bucket_count);
}

const char *bl_content_rule_name(const void *bin, uint32_t rule)
{
	if (rule == BL_RULE_NONE)
		return "default";
	if (rule >= bl_content_header(bin)->rule_count)
		return "?";
	return names(bin) + (size_t)BL_CONTENT_NAME_MAX * rule;
}

int bl_content_check_binary(const char *name, const void *bin, size_t len,
			    struct bl_content_info *ret, struct bl_err *err)
{
	const struct bl_content_hdr *h = bin;
	struct bl_content_tally t;
	const char *why;

	if (len >= sizeof(*h) && h->magic == BL_CONTENT_MAGIC &&
	    h->contract != BL_CONTENT_CONTRACT) {
		bl_err_set(err, -EBADMSG,
			   "%s: content of contract %u, this belay knows %d",
			   name, h->contract, BL_CONTENT_CONTRACT);
		bl_err_hint(
			err,
			"build the sensor and its bundle again with this belay");
		return -EBADMSG;
	}
	why = bl_content_check(bin, len, &t);
	if (why)
		return bl_err_set(err, -EBADMSG, "%s: %s", name, why);
	if (ret)
		*ret = bl_content_info_of(bin);
	return 0;
}

struct bl_content_info bl_content_info_of(const void *bin)
{
	const struct bl_content_hdr *h = bin;
	const __u32 *types = h->type_rules;
	struct bl_content_info info = {
		.rules = h->rule_count,
		.denies = h->deny_count,
		.paths = types[BL_CONTENT_EXACT],
		.prefixes = types[BL_CONTENT_PREFIX],
		.addresses = types[BL_CONTENT_NET4] + types[BL_CONTENT_NET6],
		.names = types[BL_CONTENT_NAME],
		.domains = types[BL_CONTENT_DOMAIN],
		.sums = types[BL_CONTENT_SHA256],
		.buckets = h->bucket_count,
	};

	memcpy(info.kinds, h->kind_rules, sizeof(info.kinds));
	return info;
}

struct bl_match bl_content_match_path(const void *bin, enum bl_event_kind kind,
				      const char *path, size_t len)
{
	char shown[BL_EVENT_PATH_MAX] = { 0 };
	struct bl_content_marks marks;
	bool cut = len > BL_CONTENT_PATH_MAX;
	const char *end = path + len;

	assert(kind == BL_EVENT_EXEC || kind == BL_EVENT_OPEN);
	if (cut)
		len = BL_CONTENT_PATH_MAX;
	memcpy(shown, path, len);
	return bl_content_path(bin, bl_content_header(bin), kind, shown, len,
			       end, cut, &marks);
}

struct bl_match bl_content_match_domain(const void *bin, const char *name,
					size_t len)
{
	struct bl_content_marks marks;

	assert(len <= BL_CONTENT_PATH_MAX);
	return bl_content_domain(bin, bl_content_header(bin), name + len,
				 (uint32_t)len, &marks);
}

bool bl_content_match_sum(const void *bin,
			  const __u64 sum[static BL_CONTENT_SUM_WORDS],
			  struct bl_match *m)
{
	return bl_content_sum(bin, bl_content_header(bin), sum, m);
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

struct bl_match bl_content_match_addr(const void *bin, int family,
				      const uint8_t addr[static 4])
{
	const struct bl_content_hdr *h = bl_content_header(bin);
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v6 = family == AF_INET6;
	uint8_t bytes[16] = { 0 };

	assert(family == AF_INET || family == AF_INET6);
	if (v6 && !memcmp(addr, mapped, sizeof(mapped))) {
		addr += sizeof(mapped);
		v6 = false;
	}
	memcpy(bytes, addr, v6 ? 16 : 4);
	return bl_content_addr(bin, h, v6, load_be64(bytes),
			       load_be64(bytes + 8));
}

struct bl_match bl_content_match_net(const void *bin,
				     const struct bl_content_net *net)
{
	const struct bl_content_hdr *h = bl_content_header(bin);
	struct bl_match m = bl_content_default(h, BL_EVENT_CONNECT);
	const uint8_t *len = h->net_len[net->v6];
	struct bl_hash hash;
	unsigned i;

	for (i = 0; i < h->net_count[net->v6]; i++) {
		if (len[i] > net->bits)
			continue;
		bl_content_hash_net(&hash, h->seed, net->high, net->low,
				    len[i]);
		if (bl_content_find(bin, h->bucket_count, hash,
				    net->v6 ? BL_CONTENT_NET6 : BL_CONTENT_NET4,
				    BL_EVENT_CONNECT, &m))
			break;
	}
	return m;
}
