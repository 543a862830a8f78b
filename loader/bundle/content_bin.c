/* SPDX-License-Identifier: Apache-2.0 */
/* The binary form of content: checked, taken apart, and applied. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* What the interpreter calls @src is the checked binary. */
#define BL_CONTENT_AT(src, index) (bl_content_buckets(src) + (index))
struct bl_content_bucket;
const struct bl_content_bucket *bl_content_buckets(const void *bin);
#include "bpf/content.h"
#include "loader/bundle/content.h"

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

/* Each of these: NULL, or what is wrong. Together they make everything that
 * the interpreter and its users rely on true. */

static const char *check_counts(const struct bl_content_hdr *h, size_t len)
{
	if (h->size != len)
		return "its size is not what its header says";
	if (h->rule_count > BL_CONTENT_RULES_MAX)
		return "too many rules";
	if (h->bucket_count < BL_CONTENT_BUCKETS_MIN ||
	    h->bucket_count > BL_CONTENT_BUCKETS_MAX)
		return "the number of buckets is out of range";
	if (len !=
	    sizeof(*h) +
		    (size_t)h->bucket_count * sizeof(struct bl_content_bucket) +
		    (size_t)h->rule_count * BL_CONTENT_NAME_MAX)
		return "its size does not fit its numbers of buckets and rules";
	return NULL;
}

static const char *check_defaults(const struct bl_content_hdr *h)
{
	unsigned i;

	for (i = 0; i < BL_EVENT_KINDS; i++)
		if (h->default_action[i] != BL_ACTION_EMIT &&
		    h->default_action[i] != BL_ACTION_IGNORE)
			return "a default action is neither emit nor ignore";
	if (h->default_action[BL_EVENT_KINDS] || h->kind_rules[BL_EVENT_KINDS])
		return "a reserved field is in use";
	return NULL;
}

static const char *check_nets(const struct bl_content_hdr *h)
{
	unsigned v6, i;

	for (v6 = 0; v6 < 2; v6++) {
		if (h->net_count[v6] > BL_CONTENT_NETS_MAX)
			return "too many lengths of masks";
		for (i = 0; i < BL_CONTENT_NETS_MAX; i++) {
			uint8_t len = h->net_len[v6][i];

			if (i >= h->net_count[v6] ? len != 0
						  : len > (v6 ? 128 : 32))
				return "a length of a mask is out of range";
			if (i && i < h->net_count[v6] &&
			    len >= h->net_len[v6][i - 1])
				return "lengths of masks are not longest first";
		}
	}
	return NULL;
}

static const char *check_slot(const struct bl_content_hdr *h,
			      const struct bl_content_bucket *b, unsigned i,
			      uint32_t index)
{
	uint8_t type = b->type[i], kind = b->kind[i];
	bool net = type == BL_CONTENT_NET4 || type == BL_CONTENT_NET6;
	uint64_t hash = b->hash[i][0];

	if (type >= BL_CONTENT_TYPES || kind >= BL_EVENT_KINDS ||
	    b->action[i] >= BL_ACTIONS || b->reserved[i])
		return "a slot holds an unknown type, kind or action";
	if (net != (kind == BL_EVENT_CONNECT))
		return "a slot's type does not fit its kind";
	if (net && b->action[i] == BL_ACTION_DENY)
		return "a slot denies a connect";
	if (b->rule[i] >= h->rule_count)
		return "a slot names a rule that there is not";
	if (bl_content_bucket((uint32_t)hash, h->bucket_count) != index &&
	    bl_content_bucket((uint32_t)(hash >> 32), h->bucket_count) != index)
		return "a slot lies in neither of its buckets";
	return NULL;
}

static const char *check_bucket(const void *bin, uint32_t index,
				struct bl_content_info *info)
{
	const struct bl_content_bucket *b = &bl_content_buckets(bin)[index];
	const char *why;
	unsigned i;

	for (i = 0; i < BL_CONTENT_SLOTS; i++) {
		if (b->type[i] == BL_CONTENT_EMPTY)
			continue;
		why = check_slot(bl_content_header(bin), b, i, index);
		if (why)
			return why;
		info->rules++;
		info->denies += b->action[i] == BL_ACTION_DENY;
		info->kinds[b->kind[i]]++;
		info->paths += b->type[i] == BL_CONTENT_EXACT;
		info->prefixes += b->type[i] == BL_CONTENT_PREFIX;
		info->addresses += b->kind[i] == BL_EVENT_CONNECT;
	}
	return NULL;
}

static const char *check_rules(const void *bin, struct bl_content_info *info)
{
	const struct bl_content_hdr *h = bl_content_header(bin);
	const char *why = NULL;
	uint32_t i;

	for (i = 0; !why && i < h->bucket_count; i++)
		why = check_bucket(bin, i, info);
	if (why)
		return why;
	if (info->rules != h->rule_count || info->denies != h->deny_count ||
	    memcmp(info->kinds, h->kind_rules, sizeof(info->kinds)) != 0)
		return "the rules in its slots are not those its header counts";
	for (i = 0; i < h->rule_count; i++)
		if (!memchr(bl_content_rule_name(bin, i), 0,
			    BL_CONTENT_NAME_MAX))
			return "the name of a rule does not end";
	return NULL;
}

int bl_content_check_binary(const char *name, const void *bin, size_t len,
			    struct bl_content_info *ret, struct bl_err *err)
{
	const struct bl_content_hdr *h = bin;
	struct bl_content_info info = { 0 };
	const char *why;

	if (len < sizeof(*h) || h->magic != BL_CONTENT_MAGIC)
		return bl_err_set(err, -EBADMSG,
				  "%s: not content in binary form", name);
	if (h->contract != BL_CONTENT_CONTRACT) {
		bl_err_set(err, -EBADMSG,
			   "%s: content of contract %u, this belay knows %d",
			   name, h->contract, BL_CONTENT_CONTRACT);
		bl_err_hint(
			err,
			"build the sensor and its bundle again with this belay");
		return -EBADMSG;
	}
	why = check_counts(h, len);
	if (!why)
		why = check_defaults(h);
	if (!why)
		why = check_nets(h);
	if (!why)
		why = check_rules(bin, &info);
	if (why)
		return bl_err_set(err, -EBADMSG, "%s: %s", name, why);
	info.buckets = h->bucket_count;
	if (ret)
		*ret = info;
	return 0;
}

struct bl_match bl_content_match_path(const void *bin, enum bl_event_kind kind,
				      const char *path, size_t len)
{
	char shown[BL_EVENT_PATH_MAX] = { 0 };
	struct bl_content_marks marks;
	bool cut = len > BL_CONTENT_PATH_MAX;

	assert(kind == BL_EVENT_EXEC || kind == BL_EVENT_OPEN);
	if (cut)
		len = BL_CONTENT_PATH_MAX;
	memcpy(shown, path, len);
	return bl_content_path(bin, bl_content_header(bin), kind, shown, len,
			       cut, &marks);
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
