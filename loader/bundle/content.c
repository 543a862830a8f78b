/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/content.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"

/* A rule as read from JSON. Strings belong to the document. */
struct rule {
	const char *id, *event, *path, *prefix, *address, *action;
	uint32_t number;
	uint8_t type, kind, act;
	/* What it matches: a path, or an address under a mask. */
	const char *text;
	size_t len;
	uint64_t high, low;
	unsigned bits;
	struct bl_hash hash; /* finished: what its slot holds */
};

struct source {
	const struct bl_json_doc *doc;
	struct bl_content_hdr hdr;
	struct rule *rules;
	struct bl_content_info info;
};

static const char *const kind_names[BL_EVENT_KINDS] = { "exec", "open",
							"connect" };
static const char *const action_names[BL_ACTIONS] = { "ignore", "emit",
						      "deny" };

const char *bl_event_kind_name(unsigned kind)
{
	return kind < BL_EVENT_KINDS ? kind_names[kind] : "?";
}

const char *bl_action_name(unsigned action)
{
	return action < BL_ACTIONS ? action_names[action] : "?";
}

static int lookup(const char *const *names, int count, const char *name)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

/* Paths that the kernel would never give: a rule for one matches nothing, and
 * its author believes otherwise. */
static const char *path_mistake(const char *path, size_t len, bool prefix)
{
	if (path[0] != '/')
		return "a path begins with '/'";
	if (strstr(path, "//"))
		return "'//' never occurs in a path as the kernel knows it";
	if (strstr(path, "/./") || strstr(path, "/../") ||
	    (len >= 2 && !strcmp(path + len - 2, "/.")) ||
	    (len >= 3 && !strcmp(path + len - 3, "/..")))
		return "'.' and '..' never occur in a path as the kernel knows it";
	if (prefix && path[len - 1] != '/')
		return "a prefix ends with '/'; for one file use \"path\"";
	if (!prefix && len > 1 && path[len - 1] == '/')
		return "a path does not end with '/'; for all below it use \"prefix\"";
	return NULL;
}

static int read_path(struct source *src, struct rule *r, const char *at,
		     bool prefix, struct bl_err *err)
{
	const char *why;

	r->type = prefix ? BL_CONTENT_PREFIX : BL_CONTENT_EXACT;
	r->text = prefix ? r->prefix : r->path;
	r->len = strlen(r->text);
	if (r->kind == BL_EVENT_CONNECT)
		return bl_json_fail(src->doc, at, err,
				    "a connect rule takes an \"address\"");
	why = path_mistake(r->text, r->len, prefix);
	if (why)
		return bl_json_fail(src->doc, at, err, "'%s': %s", r->text,
				    why);
	return 0;
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
	const char *slash = strchrnul(r->address, '/');
	size_t len = slash - r->address;
	uint8_t addr[16];
	unsigned max;
	int family;
	long bits;

	if (len >= sizeof(text))
		return false;
	memcpy(text, r->address, len);
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

static int read_address(struct source *src, struct rule *r, const char *at,
			struct bl_err *err)
{
	if (r->kind != BL_EVENT_CONNECT)
		return bl_json_fail(src->doc, at, err,
				    "only connect rules take an address");
	if (!parse_address(r))
		return bl_json_fail(
			src->doc, at, err,
			"'%s' is no IPv4 or IPv6 address, alone or with /BITS",
			r->address);
	if (host_bits(r))
		return bl_json_fail(src->doc, at, err,
				    "'%s' has bits set behind its mask of %u",
				    r->address, r->bits);
	if (r->type == BL_CONTENT_NET6 && r->bits >= 96 && !r->high &&
	    r->low >> 32 == 0xffff)
		return bl_json_fail(
			src->doc, at, err,
			"'%s': write a mapped address as IPv4, as it is reported",
			r->address);
	return 0;
}

static const struct bl_json_field rule_fields[] = {
	{ "action", BL_JSON_STRING, true, offsetof(struct rule, action), 0, 0 },
	{ "address", BL_JSON_STRING, false, offsetof(struct rule, address), 1,
	  INET6_ADDRSTRLEN + 4 },
	{ "event", BL_JSON_STRING, true, offsetof(struct rule, event), 0, 0 },
	{ "id", BL_JSON_STRING, false, offsetof(struct rule, id), 1,
	  BL_CONTENT_NAME_MAX - 1 },
	{ "path", BL_JSON_STRING, false, offsetof(struct rule, path), 1,
	  BL_CONTENT_PATH_MAX },
	{ "prefix", BL_JSON_STRING, false, offsetof(struct rule, prefix), 1,
	  BL_CONTENT_PATH_MAX },
};

static int read_words(struct source *src, struct rule *r, const char *at,
		      struct bl_err *err)
{
	char field[64];
	int kind, act;

	kind = lookup(kind_names, BL_EVENT_KINDS, r->event);
	if (kind < 0) {
		snprintf(field, sizeof(field), "%s.event", at);
		return bl_json_fail(src->doc, field, err,
				    "'%s' is no event (exec, open, connect)",
				    r->event);
	}
	snprintf(field, sizeof(field), "%s.action", at);
	act = lookup(action_names, BL_ACTIONS, r->action);
	if (act < 0)
		return bl_json_fail(src->doc, field, err,
				    "'%s' is no action (ignore, emit, deny)",
				    r->action);
	if (act == BL_ACTION_DENY && kind == BL_EVENT_CONNECT)
		return bl_json_fail(
			src->doc, field, err,
			"connect cannot be denied, only exec and open");
	r->kind = kind;
	r->act = act;
	return 0;
}

static int read_rule(struct source *src, const json_t *obj, unsigned number,
		     struct bl_err *err)
{
	struct rule *r = &src->rules[number];
	char at[32], field[64];
	int given, e;

	snprintf(at, sizeof(at), "rules[%u]", number);
	e = bl_json_read(src->doc, obj, at, rule_fields,
			 BL_ARRAY_SIZE(rule_fields), r, err);
	if (e)
		return e;
	r->number = number;
	e = read_words(src, r, at, err);
	if (e)
		return e;
	given = !!r->path + !!r->prefix + !!r->address;
	if (given != 1)
		return bl_json_fail(
			src->doc, at, err,
			"a rule has exactly one of path, prefix and address, this has %d",
			given);
	snprintf(field, sizeof(field), "%s.%s", at,
		 r->path     ? "path"
		 : r->prefix ? "prefix"
			     : "address");
	return r->address ? read_address(src, r, field, err)
			  : read_path(src, r, field, r->prefix, err);
}

struct defaults {
	const char *kind[BL_EVENT_KINDS];
};

static const struct bl_json_field default_fields[] = {
	{ "connect", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_CONNECT]), 0, 0 },
	{ "exec", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_EXEC]), 0, 0 },
	{ "open", BL_JSON_STRING, false,
	  offsetof(struct defaults, kind[BL_EVENT_OPEN]), 0, 0 },
};

static int read_defaults(struct source *src, const json_t *obj,
			 struct bl_err *err)
{
	struct defaults d = { { "ignore", "ignore", "ignore" } };
	char field[64];
	int e, i, act;

	if (!obj)
		return 0;
	e = bl_json_read(src->doc, obj, "default", default_fields,
			 BL_ARRAY_SIZE(default_fields), &d, err);
	if (e)
		return e;
	for (i = 0; i < BL_EVENT_KINDS; i++) {
		act = lookup(action_names, BL_ACTIONS, d.kind[i]);
		snprintf(field, sizeof(field), "default.%s", kind_names[i]);
		if (act < 0)
			return bl_json_fail(src->doc, field, err,
					    "'%s' is no action (ignore, emit)",
					    d.kind[i]);
		/* It would stop a host at its next process. */
		if (act == BL_ACTION_DENY)
			return bl_json_fail(
				src->doc, field, err,
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
	  BL_CONTENT_CONTRACT, BL_CONTENT_CONTRACT },
	{ "default", BL_JSON_OBJECT, false, offsetof(struct top, defaults), 0,
	  0 },
	{ "rules", BL_JSON_ARRAY, true, offsetof(struct top, rules), 0,
	  BL_CONTENT_RULES_MAX },
};

static int read_source(struct source *src, struct bl_err *err)
{
	struct top top = { 0 };
	const json_t *obj;
	size_t i;
	int e;

	e = bl_json_read(src->doc, src->doc->root, "", top_fields,
			 BL_ARRAY_SIZE(top_fields), &top, err);
	if (e)
		return e;
	e = read_defaults(src, top.defaults, err);
	if (e)
		return e;
	src->hdr.rule_count = json_array_size(top.rules);
	src->rules = calloc(src->hdr.rule_count + 1, sizeof(*src->rules));
	if (!src->rules)
		return bl_err_errno(err, -ENOMEM, "%s", src->doc->name);
	json_array_foreach (top.rules, i, obj) {
		e = read_rule(src, obj, i, err);
		if (e)
			return e;
	}
	return 0;
}

static void hash_rule(const struct bl_content_hdr *hdr, struct rule *r)
{
	size_t i;

	if (r->text) {
		bl_hash_start(&r->hash, hdr->seed);
		for (i = 0; i < r->len; i++)
			bl_hash_add(&r->hash, (uint8_t)r->text[i]);
	} else {
		bl_content_hash_net(&r->hash, hdr->seed, r->high, r->low,
				    r->bits);
	}
	bl_hash_end(&r->hash, r->type, r->kind);
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
	char at[32];

	hdr->kind_rules[r->kind]++;
	src->info.kinds[r->kind]++;
	hdr->deny_count += r->act == BL_ACTION_DENY;
	src->info.paths += r->type == BL_CONTENT_EXACT;
	src->info.prefixes += r->type == BL_CONTENT_PREFIX;
	src->info.addresses += !r->text;
	if (r->type == BL_CONTENT_PREFIX)
		hdr->prefix_len[r->len / 64] |= 1ULL << r->len % 64;
	if (!r->text && !add_net(hdr, r->type == BL_CONTENT_NET6, r->bits)) {
		snprintf(at, sizeof(at), "rules[%u].address", r->number);
		return bl_json_fail(
			src->doc, at, err,
			"more than %d different lengths of IPv6 masks",
			BL_CONTENT_NETS_MAX);
	}
	return 0;
}

/* Puts every rule into @slots; false when one would lie too far from home. */
static bool place(const struct source *src, struct bl_content_slot *slots)
{
	uint32_t mask = src->hdr.slot_count - 1, i, n;

	for (i = 0; i < src->hdr.rule_count; i++) {
		const struct rule *r = &src->rules[i];
		struct bl_content_slot *s = NULL;

		for (n = 0; n < BL_CONTENT_PROBES; n++) {
			s = &slots[((uint32_t)r->hash.a + n) & mask];
			if (s->type == BL_CONTENT_EMPTY)
				break;
		}
		if (n == BL_CONTENT_PROBES)
			return false;
		*s = (struct bl_content_slot){ { r->hash.a, r->hash.b },
					       r->number,
					       r->type,
					       r->kind,
					       r->act,
					       0 };
	}
	return true;
}

static int by_hash(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a;
	const struct rule *y = *(const struct rule *const *)b;

	if (x->hash.a != y->hash.a)
		return x->hash.a < y->hash.a ? -1 : 1;
	if (x->hash.b != y->hash.b)
		return x->hash.b < y->hash.b ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static bool same_match(const struct rule *x, const struct rule *y)
{
	if (x->type != y->type || x->kind != y->kind)
		return false;
	if (x->text)
		return !strcmp(x->text, y->text);
	return x->high == y->high && x->low == y->low && x->bits == y->bits;
}

/* Two rules of one hash would be one rule to the sensor. */
static int refuse_doubles(struct source *src, struct bl_err *err)
{
	bl_autofree const struct rule **order = NULL;
	uint32_t count = src->hdr.rule_count, i;
	char at[32];

	order = calloc(count + 1, sizeof(struct rule *));
	if (!order)
		return bl_err_errno(err, -ENOMEM, "%s", src->doc->name);
	for (i = 0; i < count; i++)
		order[i] = &src->rules[i];
	qsort(order, count, sizeof(struct rule *), by_hash);
	for (i = 1; i < count; i++) {
		const struct rule *x = order[i - 1], *y = order[i];

		if (x->hash.a != y->hash.a || x->hash.b != y->hash.b)
			continue;
		snprintf(at, sizeof(at), "rules[%u]", y->number);
		return bl_json_fail(src->doc, at, err, "%s rules[%u]",
				    same_match(x, y) ? "matches the same as"
						     : "has the same hash as",
				    x->number);
	}
	return 0;
}

static int write_names(const struct source *src, struct bl_buf *bin)
{
	uint32_t i;
	int e = 0;

	for (i = 0; !e && i < src->hdr.rule_count; i++) {
		char name[BL_CONTENT_NAME_MAX] = { 0 };

		if (src->rules[i].id)
			strncpy(name, src->rules[i].id, sizeof(name) - 1);
		else
			snprintf(name, sizeof(name), "rules[%u]", i);
		e = bl_buf_add(bin, name, sizeof(name));
	}
	return e;
}

/* The table is at most half full, and grows until every rule is near home. */
static int write_binary(struct source *src, struct bl_buf *bin,
			struct bl_err *err)
{
	struct bl_content_hdr *hdr = &src->hdr;
	size_t slots_size;
	int e;

	hdr->slot_count = BL_CONTENT_SLOTS_MIN;
	while (hdr->slot_count < 2 * hdr->rule_count)
		hdr->slot_count *= 2;
	for (;; hdr->slot_count *= 2) {
		bl_autofree struct bl_content_slot *slots = NULL;

		if (hdr->slot_count > BL_CONTENT_SLOTS_MAX)
			return bl_err_set(
				err, -EBADMSG,
				"%s: the rules do not fit into %u slots",
				src->doc->name, BL_CONTENT_SLOTS_MAX);
		slots_size = sizeof(*slots) * hdr->slot_count;
		slots = calloc(1, slots_size);
		if (!slots)
			return bl_err_errno(err, -ENOMEM, "%s", src->doc->name);
		if (!place(src, slots))
			continue;
		hdr->size = sizeof(*hdr) + slots_size +
			    (size_t)BL_CONTENT_NAME_MAX * hdr->rule_count;
		e = bl_buf_add(bin, hdr, sizeof(*hdr));
		if (!e)
			e = bl_buf_add(bin, slots, slots_size);
		if (!e)
			e = write_names(src, bin);
		return e ? bl_err_errno(err, e, "%s", src->doc->name) : 0;
	}
}

static int compile(struct source *src, struct bl_buf *bin, struct bl_err *err)
{
	uint32_t i;
	int e;

	src->hdr.magic = BL_CONTENT_MAGIC;
	src->hdr.contract = BL_CONTENT_CONTRACT;
	e = read_source(src, err);
	for (i = 0; !e && i < src->hdr.rule_count; i++) {
		hash_rule(&src->hdr, &src->rules[i]);
		e = count_rule(src, &src->rules[i], err);
	}
	if (!e)
		e = refuse_doubles(src, err);
	return e ? e : write_binary(src, bin, err);
}

int bl_content_compile(const char *name, const char *json, size_t len,
		       struct bl_buf *ret_bin, struct bl_content_info *ret,
		       struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct source src = { .doc = &doc };
	bl_autobuf struct bl_buf bin = { 0 };
	int e;

	if (len > BL_CONTENT_JSON_MAX)
		return bl_err_set(err, -EFBIG, "%s: more than %u bytes", name,
				  BL_CONTENT_JSON_MAX);
	e = bl_json_parse(name, json, len, &doc, err);
	if (!e)
		e = compile(&src, &bin, err);
	free(src.rules);
	if (e)
		return e;
	e = bl_buf_add(ret_bin, bin.data, bin.len);
	if (e)
		return bl_err_errno(err, e, "%s", name);
	src.info.rules = src.hdr.rule_count;
	src.info.denies = src.hdr.deny_count;
	src.info.slots = src.hdr.slot_count;
	if (ret)
		*ret = src.info;
	return 0;
}
