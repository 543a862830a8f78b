/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/content.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/content_check.h"
#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/bundle/content_table.h"
#include "loader/bundle/content_text.h"

/* A rule as its author wrote it, and what that means. */
struct rule {
	struct bl_content_rule said;
	uint8_t type, kind, act;
	/* What it matches: a path, or an address under a mask. */
	const char *text;
	size_t len;
	uint64_t high, low;
	unsigned bits;
};

struct source {
	struct bl_content_text text;
	struct bl_content_hdr hdr;
	struct bl_content_info info;
	struct bl_buf rules; /* struct bl_content_entry each, in their order */
	struct bl_buf names; /* BL_CONTENT_NAME_MAX bytes each */
};

static void source_free(struct source *src)
{
	bl_content_text_close(&src->text);
	bl_buf_free(&src->rules);
	bl_buf_free(&src->names);
}

static int lookup(const char *(*name_of)(unsigned), int count, const char *name)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(name_of((unsigned)i), name))
			return i;
	return -1;
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void split_address(int family, const uint8_t *addr, uint64_t *ret_high,
			  uint64_t *ret_low)
{
	uint8_t bytes[16] = { 0 };

	memcpy(bytes, addr, family == AF_INET6 ? 16 : 4);
	*ret_high = load_be64(bytes);
	*ret_low = load_be64(bytes + 8);
}

/* "A.B.C.D", "A::B", either with "/BITS". */
static bool parse_address(struct rule *r)
{
	char text[INET6_ADDRSTRLEN + 1], *end;
	const char *slash = strchrnul(r->said.address, '/');
	size_t len = slash - r->said.address;
	uint8_t addr[16];
	unsigned max;
	int family;
	long bits;

	if (len >= sizeof(text))
		return false;
	memcpy(text, r->said.address, len);
	text[len] = '\0';
	family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, text, addr) != 1)
		return false;
	max = family == AF_INET6 ? 128 : 32;
	bits = max;
	if (*slash) {
		/* No sign, no blank, no empty string: strtol takes them. */
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		bits = strtol(slash + 1, &end, 10);
		if (*end || bits > (long)max)
			return false;
	}
	r->type = family == AF_INET6 ? BL_CONTENT_NET6 : BL_CONTENT_NET4;
	r->bits = bits;
	split_address(family, addr, &r->high, &r->low);
	return true;
}

static bool host_bits(const struct rule *r)
{
	if (r->bits < 64)
		return r->high << r->bits || r->low;
	return r->bits < 128 && r->low << (r->bits - 64);
}

static bool mapped(const struct rule *r)
{
	return r->type == BL_CONTENT_NET6 && r->bits >= 96 && !r->high &&
	       r->low >> 32 == 0xffff;
}

const char *bl_content_net_read(const char *text, struct bl_content_net *ret)
{
	struct rule r = { .said.address = text };

	if (!parse_address(&r))
		return "no IPv4 or IPv6 address, alone or with /BITS";
	if (host_bits(&r))
		return "bits are set behind its mask";
	if (mapped(&r))
		return "a mapped address is reported as IPv4";
	*ret = (struct bl_content_net){ r.type == BL_CONTENT_NET6, r.bits,
					r.high, r.low };
	return NULL;
}

static int fail_address(struct source *src, const struct rule *r,
			const char *why, struct bl_err *err)
{
	return bl_content_text_fail(&src->text, &r->said, "address", err,
				    "'%s'%s", r->said.address, why);
}

static int read_address(struct source *src, struct rule *r, struct bl_err *err)
{
	char why[64];

	if (!parse_address(r))
		return fail_address(
			src, r,
			" is no IPv4 or IPv6 address, alone or with /BITS",
			err);
	snprintf(why, sizeof(why), " has bits set behind its mask of %u",
		 r->bits);
	if (host_bits(r))
		return fail_address(src, r, why, err);
	if (mapped(r))
		return fail_address(
			src, r,
			": write a mapped address as IPv4, as it is reported",
			err);
	return 0;
}

static int read_words(struct source *src, struct rule *r, struct bl_err *err)
{
	int kind, act;

	kind = lookup(bl_event_kind_name, BL_EVENT_KINDS, r->said.event);
	if (kind < 0)
		return bl_content_text_fail(
			&src->text, &r->said, "event", err,
			"'%s' is no event (exec, open, connect, dns)",
			r->said.event);
	act = lookup(bl_action_name, BL_ACTIONS, r->said.action);
	if (act < 0)
		return bl_content_text_fail(
			&src->text, &r->said, "action", err,
			"'%s' is no action (ignore, emit, deny)",
			r->said.action);
	if (act == BL_ACTION_DENY && !bl_content_can_deny(kind))
		return bl_content_text_fail(
			&src->text, &r->said, "action", err,
			"%s cannot be denied, only exec and open",
			bl_event_kind_name((unsigned)kind));
	r->kind = kind;
	r->act = act;
	return 0;
}

static const char *path_mistake(const char *text, size_t len)
{
	return bl_content_path_mistake(text, len, false);
}

static const char *prefix_mistake(const char *text, size_t len)
{
	return bl_content_path_mistake(text, len, true);
}

static const char *sum_mistake(const char *text, size_t len)
{
	__u64 sum[BL_CONTENT_SUM_WORDS];

	(void)len;
	return bl_content_sum_read(text, sum);
}

/* What a rule may match, by the key that says it. */
static const struct target {
	const char *key;
	size_t offset;
	unsigned type;
	const char *owners; /* whose it is */
	/* Of a text; NULL: an address. */
	const char *(*mistake)(const char *, size_t);
} targets[] = {
	{ "path", offsetof(struct bl_content_rule, path), BL_CONTENT_EXACT,
	  "exec and open rules take", path_mistake },
	{ "prefix", offsetof(struct bl_content_rule, prefix), BL_CONTENT_PREFIX,
	  "exec and open rules take", prefix_mistake },
	{ "name", offsetof(struct bl_content_rule, name), BL_CONTENT_NAME,
	  "exec and open rules take", bl_content_name_mistake },
	{ "address", offsetof(struct bl_content_rule, address), BL_CONTENT_NET4,
	  "connect rules take", NULL },
	{ "domain", offsetof(struct bl_content_rule, domain), BL_CONTENT_DOMAIN,
	  "dns rules take", bl_content_domain_mistake },
	{ "sha256", offsetof(struct bl_content_rule, sha256), BL_CONTENT_SHA256,
	  "exec rules take", sum_mistake },
};

static const char *text_of(const struct rule *r, const struct target *t)
{
	return *(char **)((char *)&r->said + t->offset);
}

static int read_text(struct source *src, struct rule *r, const struct target *t,
		     struct bl_err *err)
{
	const char *why;

	r->type = (uint8_t)t->type;
	r->text = text_of(r, t);
	r->len = strlen(r->text);
	why = t->mistake(r->text, r->len);
	if (!why)
		return 0;
	return bl_content_text_fail(&src->text, &r->said, t->key, err,
				    "'%s': %s", r->text, why);
}

static int read_rule(struct source *src, struct rule *r, struct bl_err *err)
{
	const struct target *given = NULL;
	int e = read_words(src, r, err), count = 0;
	size_t i;

	if (e)
		return e;
	for (i = 0; i < BL_ARRAY_SIZE(targets); i++) {
		if (!text_of(r, &targets[i]))
			continue;
		given = &targets[i];
		count++;
	}
	if (count != 1)
		return bl_content_text_fail(
			&src->text, &r->said, "", err,
			"a rule has exactly one of path, prefix, name, address, domain and sha256, this has %d",
			count);
	if (!(bl_content_type_kinds(given->type) >> r->kind & 1))
		return bl_content_text_fail(&src->text, &r->said, given->key,
					    err, "only %s a%s %s",
					    given->owners,
					    *given->key == 'a' ? "n" : "",
					    given->key);
	return given->mistake ? read_text(src, r, given, err)
			      : read_address(src, r, err);
}

struct defaults {
	const char *kind[BL_EVENT_KINDS];
};

static const struct bl_json_field default_fields[] = {
	{ "connect", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_CONNECT]), 0, 0 },
	{ "dns", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_DNS]), 0, 0 },
	{ "exec", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_EXEC]), 0, 0 },
	{ "open", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_OPEN]), 0, 0 },
};

static int read_defaults(struct source *src, const json_t *obj,
			 struct bl_err *err)
{
	struct defaults d = { { "ignore", "ignore", "ignore", "ignore" } };
	char field[64];
	int e, i, act;

	if (!obj)
		return 0;
	e = bl_json_read(&src->text.doc, obj, "default", default_fields,
			 BL_ARRAY_SIZE(default_fields), &d, err);
	if (e)
		return e;
	for (i = 0; i < BL_EVENT_KINDS; i++) {
		act = lookup(bl_action_name, BL_ACTIONS, d.kind[i]);
		snprintf(field, sizeof(field), "default.%s",
			 bl_event_kind_name((unsigned)i));
		if (act < 0)
			return bl_json_fail(&src->text.doc, field, err,
					    "'%s' is no action (ignore, emit)",
					    d.kind[i]);
		/* It would stop a host at its next process. */
		if (act == BL_ACTION_DENY)
			return bl_json_fail(
				&src->text.doc, field, err,
				"a default cannot be deny; deny by rules");
		src->hdr.default_action[i] = act;
	}
	return 0;
}

struct top {
	int64_t contract;
	json_t *defaults, *rules;
};

static const struct bl_json_field top_fields[] = {
	{ "contract", BL_JSON_INT, true, offsetof(struct top, contract),
	  BL_CONTENT_JSON_CONTRACT, BL_CONTENT_JSON_CONTRACT },
	{ "default", BL_JSON_OBJECT, false, offsetof(struct top, defaults), 0,
	  0 },
	{ "rules", BL_JSON_ARRAY, true, offsetof(struct top, rules), 0, 0 },
};

static int read_top(struct source *src, struct bl_err *err)
{
	const struct bl_json_doc *doc = &src->text.doc;
	struct top top = { 0 };
	int e = bl_json_read(doc, doc->root, "", top_fields,
			     BL_ARRAY_SIZE(top_fields), &top, err);

	return e ? e : read_defaults(src, top.defaults, err);
}

static struct bl_hash hash_rule(const struct bl_content_hdr *hdr,
				const struct rule *r)
{
	__u64 sum[BL_CONTENT_SUM_WORDS];
	struct bl_hash h;
	size_t i;

	switch (r->type) {
	case BL_CONTENT_NET4:
	case BL_CONTENT_NET6:
		bl_content_hash_net(&h, hdr->seed, r->high, r->low, r->bits);
		break;
	case BL_CONTENT_NAME:
	case BL_CONTENT_DOMAIN:
		/* No domain has a '/' that it would end at. */
		h = bl_content_hash_name(hdr->seed, r->text + r->len,
					 (uint32_t)r->len);
		break;
	case BL_CONTENT_SHA256:
		bl_content_sum_read(r->text, sum);
		h = bl_content_hash_sum(hdr->seed, sum);
		break;
	default:
		bl_hash_start(&h, hdr->seed);
		for (i = 0; i < r->len; i++)
			bl_hash_add(&h, (uint8_t)r->text[i]);
	}
	bl_hash_end(&h, r->type, r->kind);
	return h;
}

static int longer_first(const void *a, const void *b)
{
	return *(const uint8_t *)b - *(const uint8_t *)a;
}

/* Adds @bits to the lengths in use, kept longest first. There is room for
 * every length of v4; v6 has more of them. */
static bool add_net(struct bl_content_hdr *hdr, unsigned v6, unsigned bits)
{
	uint8_t *len = hdr->net_len[v6], *count = &hdr->net_count[v6];

	if (memchr(len, bits, *count))
		return true;
	if (*count == BL_CONTENT_NETS_MAX)
		return false;
	len[(*count)++] = bits;
	qsort(len, *count, 1, longer_first);
	return true;
}

static int count_rule(struct source *src, const struct rule *r,
		      struct bl_err *err)
{
	struct bl_content_hdr *hdr = &src->hdr;

	hdr->kind_rules[r->kind]++;
	hdr->deny_count += r->act == BL_ACTION_DENY;
	hdr->kind_types[r->kind] |= (uint8_t)(1U << r->type);
	hdr->type_rules[r->type]++;
	if (r->type == BL_CONTENT_PREFIX)
		hdr->prefix_len[r->len / 64] |= 1ULL << r->len % 64;
	if (r->type == BL_CONTENT_DOMAIN)
		hdr->domain_len[r->len / 64] |= 1ULL << r->len % 64;
	if (!r->text && !add_net(hdr, r->type == BL_CONTENT_NET6, r->bits))
		return bl_content_text_fail(
			&src->text, &r->said, "address", err,
			"more than %d different lengths of IPv6 masks",
			BL_CONTENT_NETS_MAX);
	return 0;
}

static int keep_rule(struct source *src, const struct rule *r,
		     struct bl_err *err)
{
	struct bl_hash hash = hash_rule(&src->hdr, r);
	struct bl_content_entry entry = {
		{ hash.a, hash.b }, r->said.number, r->type, r->kind, r->act
	};
	char name[BL_CONTENT_NAME_MAX] = { 0 };
	int e = bl_buf_add(&src->rules, &entry, sizeof(entry));

	if (r->said.id)
		memcpy(name, r->said.id, strnlen(r->said.id, sizeof(name) - 1));
	else
		snprintf(name, sizeof(name), "rules[%u]", r->said.number);
	if (!e)
		e = bl_buf_add(&src->names, name, sizeof(name));
	return e ? bl_err_errno(err, e, "%s", src->text.name) : 0;
}

static int read_rules(struct source *src, struct bl_err *err)
{
	int e;

	for (;;) {
		struct rule r = { 0 };

		e = bl_content_text_next(&src->text, &r.said, err);
		if (e <= 0)
			return e;
		e = read_rule(src, &r, err);
		if (!e)
			e = count_rule(src, &r, err);
		if (!e)
			e = keep_rule(src, &r, err);
		if (e)
			return e;
		src->hdr.rule_count++;
	}
}

/* What a rule matches, in words of which two are the same for two rules only
 * if they match the same. */
static void describe(const struct rule *r, char ret[static BL_EVENT_PATH_MAX])
{
	if (r->text)
		snprintf(ret, BL_EVENT_PATH_MAX, "%s", r->text);
	else
		snprintf(ret, BL_EVENT_PATH_MAX,
			 "%016" PRIx64 "%016" PRIx64 "/%u", r->high, r->low,
			 r->bits);
}

/* Two rules of one hash would be one rule to the sensor. They are read again,
 * to say which, and whether they really match the same. */
static int refuse_twins(struct source *src, const uint32_t twins[static 2],
			struct bl_err *err)
{
	char first[BL_EVENT_PATH_MAX] = "", second[BL_EVENT_PATH_MAX] = "";
	bl_autocontent_text struct bl_content_text text = { 0 };
	struct rule r = { 0 };
	int e = bl_content_text_open(src->text.name, src->text.text,
				     src->text.len, &text, err);

	while (!e) {
		r = (struct rule){ 0 };
		e = bl_content_text_next(&text, &r.said, err);
		if (e > 0)
			e = read_rule(src, &r, err);
		if (e)
			break;
		if (r.said.number == twins[0])
			describe(&r, first);
		if (r.said.number != twins[1])
			continue;
		describe(&r, second);
		return bl_content_text_fail(&text, &r.said, "", err,
					    "%s rules[%u]",
					    strcmp(first, second)
						    ? "has the same hash as"
						    : "matches the same as",
					    twins[0]);
	}
	return e ? e : -EBADMSG;
}

/* The rules that were read, into @buckets; -ENOSPC: into more of them. */
static int place(struct source *src, struct bl_content_bucket *buckets,
		 struct bl_err *err)
{
	const struct bl_content_hdr *hdr = &src->hdr;
	uint32_t twins[2];
	int e;

	memset(buckets, 0, sizeof(*buckets) * hdr->bucket_count);
	e = bl_content_table_fill((const void *)src->rules.data,
				  hdr->rule_count, buckets, hdr->bucket_count,
				  twins);
	return e == -EEXIST ? refuse_twins(src, twins, err) : e;
}

static int write_binary(struct source *src, struct bl_buf *bin,
			struct bl_err *err)
{
	struct bl_content_hdr *hdr = &src->hdr;
	size_t size;
	int e = -ENOSPC;

	for (hdr->bucket_count = bl_content_table_size(hdr->rule_count);
	     e == -ENOSPC && hdr->bucket_count <= BL_CONTENT_BUCKETS_MAX;
	     hdr->bucket_count = bl_content_table_grow(hdr->bucket_count)) {
		size = sizeof(struct bl_content_bucket) * hdr->bucket_count;
		hdr->size = sizeof(*hdr) + size + src->names.len;
		if (bl_buf_reserve(bin, hdr->size))
			return bl_err_errno(err, -ENOMEM, "%s", src->text.name);
		memcpy(bin->data, hdr, sizeof(*hdr));
		e = place(src, (void *)(bin->data + sizeof(*hdr)), err);
		bin->len = sizeof(*hdr) + size;
	}
	if (e == -ENOSPC)
		return bl_err_set(
			err, -EBADMSG,
			"%s: the rules do not fit into %u buckets: too many of them have hashes that begin alike",
			src->text.name, BL_CONTENT_BUCKETS_MAX);
	if (e)
		return e;
	src->info = bl_content_info_of(bin->data);
	e = bl_buf_add(bin, src->names.data, src->names.len);
	return e ? bl_err_errno(err, e, "%s", src->text.name) : 0;
}

static int compile(struct source *src, const char *name, const char *json,
		   size_t len, struct bl_buf *bin, struct bl_err *err)
{
	int e;

	src->hdr.magic = BL_CONTENT_MAGIC;
	src->hdr.contract = BL_CONTENT_CONTRACT;
	e = bl_content_text_open(name, json, len, &src->text, err);
	if (!e)
		e = read_top(src, err);
	if (!e)
		e = read_rules(src, err);
	return e ? e : write_binary(src, bin, err);
}

int bl_content_compile(const char *name, const char *json, size_t len,
		       struct bl_buf *ret_bin, struct bl_content_info *ret,
		       struct bl_err *err)
{
	BL_CLEANUP(source_free) struct source src = { 0 };
	bl_autobuf struct bl_buf bin = { 0 };
	int e;

	if (len > BL_CONTENT_JSON_MAX)
		return bl_err_set(
			err, -EFBIG,
			"%s: more than %u bytes, the limit of one content",
			name, BL_CONTENT_JSON_MAX);
	e = compile(&src, name, json, len, &bin, err);
	if (e)
		return e;
	if (ret_bin->len) {
		e = bl_buf_add(ret_bin, bin.data, bin.len);
		if (e)
			return bl_err_errno(err, e, "%s", name);
	} else {
		/* Tens of megabytes need not be copied. */
		bl_buf_free(ret_bin);
		*ret_bin = bin;
		bin = (struct bl_buf){ 0 };
	}
	if (ret)
		*ret = src.info;
	return 0;
}
