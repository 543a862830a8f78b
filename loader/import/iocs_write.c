/* SPDX-License-Identifier: Apache-2.0 */
/* Indicators to content: sorted, each once, the base's rules before all. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/content_text.h"
#include "loader/import/item.h"

/* Of a rule's text, without path and address: an id, words, punctuation. */
#define RULE_TEXT_MAX 160
#define PATH_TEXT_MAX (6 * BL_CONTENT_PATH_MAX + 1) /* all of it \u00XX */

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

int bl_ioc_item_add(struct bl_iocs *set, struct bl_ioc_item *it,
		    const char *path, struct bl_err *err)
{
	if (path) {
		it->high = set->paths.len;
		if (bl_buf_add(&set->paths, path, strlen(path) + 1))
			return no_memory(err);
	}
	return bl_buf_add(&set->items, it, sizeof(*it)) ? no_memory(err) : 0;
}

static const char *path_of(const struct bl_iocs *set,
			   const struct bl_ioc_item *it)
{
	return set->paths.data + it->high;
}

/* --- the base ------------------------------------------------------------- */

struct base {
	struct bl_content_text text;
	struct bl_buf bin;
	struct bl_content_info info;
	unsigned denies_below; /* kinds of which it denies some prefix */
};

static void base_free(struct base *b)
{
	bl_content_text_close(&b->text);
	bl_buf_free(&b->bin);
}

/* A rule of the base that the same path or network could be in. */
static int base_item(struct bl_iocs *set, struct base *base,
		     const struct bl_content_rule *rule, struct bl_err *err)
{
	struct bl_ioc_item it = { .base = 1 };
	struct bl_content_net net;
	unsigned kind = 0;

	while (kind < BL_EVENT_KINDS - 1 &&
	       strcmp(bl_event_kind_name(kind), rule->event) != 0)
		kind++;
	it.kinds = (uint8_t)(1U << kind);
	if (rule->prefix) {
		if (!strcmp(rule->action, bl_action_name(BL_ACTION_DENY)))
			base->denies_below |= it.kinds;
		return 0;
	}
	it.type = BL_CONTENT_EXACT;
	if (rule->path)
		return bl_ioc_item_add(set, &it, rule->path, err);
	it.type = BL_CONTENT_NAME;
	if (rule->name)
		return bl_ioc_item_add(set, &it, rule->name, err);
	it.type = BL_CONTENT_DOMAIN;
	if (rule->domain)
		return bl_ioc_item_add(set, &it, rule->domain, err);
	it.type = BL_CONTENT_SHA256;
	if (rule->sha256)
		return bl_ioc_item_add(set, &it, rule->sha256, err);
	if (bl_content_net_read(rule->address, &net))
		return 0; /* it would not have compiled */
	it.type = net.v6 ? BL_CONTENT_NET6 : BL_CONTENT_NET4;
	it.bits = (uint8_t)net.bits;
	it.high = net.high;
	it.low = net.low;
	return bl_ioc_item_add(set, &it, NULL, err);
}

static int read_base(struct bl_iocs *set, const struct bl_iocs_base *base,
		     struct base *ret, struct bl_err *err)
{
	struct bl_content_rule rule;
	int r = bl_content_compile(base->name, base->text, base->len, &ret->bin,
				   &ret->info, err);

	if (!r)
		r = bl_content_text_open(base->name, base->text, base->len,
					 &ret->text, err);
	while (!r) {
		r = bl_content_text_next(&ret->text, &rule, err);
		if (r <= 0)
			break;
		r = base_item(set, ret, &rule, err);
	}
	return r;
}

/* --- who wins ------------------------------------------------------------- */

/* What they match. Longer masks come first: should there be too many lengths,
 * the precise ones have a place. */
static int compare_match(const struct bl_iocs *set, const struct bl_ioc_item *a,
			 const struct bl_ioc_item *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (!bl_ioc_item_net(a))
		return strcmp(path_of(set, a), path_of(set, b));
	if (a->bits != b->bits)
		return a->bits > b->bits ? -1 : 1;
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return 0;
}

/* Of those that match the same, the base's is first, then the one that says it
 * exactly, then that of the first source. */
static int compare(const void *one, const void *other, void *ctx)
{
	const struct bl_ioc_item *a = one, *b = other;
	int r = compare_match(ctx, a, b);

	if (r)
		return r;
	if (a->base != b->base)
		return a->base ? -1 : 1;
	if (a->widened != b->widened)
		return a->widened ? 1 : -1;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	return (int)a->row - (int)b->row;
}

/* What the base does with all that @it matches. */
static struct bl_match base_says(const struct bl_iocs *set,
				 const struct base *base,
				 const struct bl_ioc_item *it,
				 enum bl_event_kind kind)
{
	const struct bl_content_net net = { it->type == BL_CONTENT_NET6,
					    it->bits, it->high, it->low };

	if (bl_ioc_item_net(it))
		return bl_content_match_net(base->bin.data, &net);
	if (it->type == BL_CONTENT_DOMAIN)
		return bl_content_match_domain(base->bin.data, path_of(set, it),
					       strlen(path_of(set, it)));
	return bl_content_match_path(base->bin.data, kind, path_of(set, it),
				     strlen(path_of(set, it)));
}

/* Takes the kinds from @it of which the base says something else. */
static void ask_base(const struct bl_iocs *set, const struct base *base,
		     struct bl_ioc_item *it)
{
	unsigned kind;

	for (kind = 0; kind < BL_EVENT_KINDS; kind++) {
		struct bl_match m;

		if (!(it->kinds >> kind & 1))
			continue;
		/* No rule of another sort matches all that a digest does, and
		 * what only reports lifts no refusal. */
		if (it->type == BL_CONTENT_SHA256)
			continue;
		/* A name beats a folder: it must not lift a refusal. */
		if (it->type == BL_CONTENT_NAME) {
			it->kinds &= (uint8_t)~base->denies_below;
			continue;
		}
		m = base_says(set, base, it, kind);
		if (m.rule != BL_RULE_NONE && m.action != it->action)
			it->kinds &= (uint8_t) ~(1U << kind);
	}
}

struct masks {
	bool used[129];
	unsigned count;
};

/* Whether content has a place for one more length of IPv6 masks. */
static bool take_mask(struct masks *m, unsigned bits)
{
	if (m->used[bits])
		return true;
	if (m->count == BL_CONTENT_NETS_MAX)
		return false;
	m->used[bits] = true;
	m->count++;
	return true;
}

static enum bl_ioc_fate decide(const struct bl_iocs *set,
			       const struct base *base, struct masks *masks,
			       struct bl_ioc_item *it, unsigned taken)
{
	it->kinds &= (uint8_t)~taken;
	if (base->bin.len)
		ask_base(set, base, it);
	if (!it->kinds)
		return BL_IOC_BASE;
	if (it->type == BL_CONTENT_NET6 && !take_mask(masks, it->bits))
		return BL_IOC_MASKS;
	return BL_IOC_RULE;
}

static void count_rule(struct bl_iocs *set, const struct bl_ioc_item *it)
{
	set->rules += (uint32_t)__builtin_popcount(it->kinds);
	set->widened += it->widened;
	set->lowered += it->action != set->action &&
			set->action == BL_ACTION_DENY;
}

/* Leaves those that become rules in front; *ret_text: bytes that they need. */
static size_t choose(struct bl_iocs *set, const struct base *base,
		     size_t *ret_text)
{
	struct bl_ioc_item *items = (void *)set->items.data;
	size_t count = set->items.len / sizeof(*items), kept = 0, i;
	struct bl_ioc_item first = { 0 };
	struct masks masks = { 0 };
	unsigned taken = 0;

	if (base->bin.len) {
		const struct bl_content_hdr *h =
			bl_content_header(base->bin.data);

		for (i = 0; i < h->net_count[1]; i++)
			take_mask(&masks, h->net_len[1][i]);
	}
	for (i = 0; i < count; i++) {
		struct bl_ioc_item it = items[i];
		bool same = i && !compare_match(set, &first, &it);
		enum bl_ioc_fate fate;

		if (!same)
			taken = 0;
		if (it.base) {
			taken |= it.kinds;
			first = it;
			continue;
		}
		fate = same && !first.base
			       ? BL_IOC_TWICE
			       : decide(set, base, &masks, &it, taken);
		if (!it.second)
			set->types[it.row].fates[fate]++;
		first = it;
		if (fate != BL_IOC_RULE)
			continue;
		count_rule(set, &it);
		*ret_text += (RULE_TEXT_MAX + BL_EVENT_PATH_MAX);
		items[kept++] = it;
	}
	return kept;
}

/* --- the text ------------------------------------------------------------- */

/* As JSON; UTF-8 as it is, since it came from JSON. */
static const char *quote(const char *path, char ret[static PATH_TEXT_MAX])
{
	char *to = ret;

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < ' ') {
			to += snprintf(to, sizeof("\\u0000"), "\\u%04x", c);
			continue;
		}
		if (c == '"' || c == '\\')
			*to++ = '\\';
		*to++ = (char)c;
	}
	*to = '\0';
	return ret;
}

static const char *address(const struct bl_ioc_item *it,
			   char ret[static PATH_TEXT_MAX])
{
	bool v6 = it->type == BL_CONTENT_NET6;
	uint8_t bytes[16];
	size_t len;
	int i;

	for (i = 0; i < 8; i++) {
		bytes[i] = (uint8_t)(it->high >> (56 - 8 * i));
		bytes[8 + i] = (uint8_t)(it->low >> (56 - 8 * i));
	}
	inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, ret, INET6_ADDRSTRLEN);
	len = strlen(ret);
	if (it->bits < (v6 ? 128 : 32))
		snprintf(ret + len, PATH_TEXT_MAX - len, "/%u", it->bits);
	return ret;
}

static int write_rule(const struct bl_iocs *set, const struct bl_ioc_item *it,
		      unsigned kind, const char *comma, struct bl_buf *ret)
{
	static const char *const keys[BL_CONTENT_TYPES] = {
		[BL_CONTENT_EXACT] = "path",	[BL_CONTENT_NET4] = "address",
		[BL_CONTENT_NET6] = "address",	[BL_CONTENT_NAME] = "name",
		[BL_CONTENT_DOMAIN] = "domain", [BL_CONTENT_SHA256] = "sha256",
	};
	char text[PATH_TEXT_MAX];
	char line[PATH_TEXT_MAX + RULE_TEXT_MAX];
	int n;

	n = snprintf(
		line, sizeof(line),
		"%s\n{\"id\":\"%s\",\"event\":\"%s\",\"%s\":\"%s\",\"action\":\"%s\"}",
		comma,
		set->sources.data + (size_t)it->source * BL_CONTENT_NAME_MAX,
		bl_event_kind_name(kind), keys[it->type],
		bl_ioc_item_net(it) ? address(it, text)
				    : quote(path_of(set, it), text),
		bl_action_name(it->action));
	return bl_buf_add(ret, line, (size_t)n);
}

static int too_large(struct bl_err *err, const char *what, unsigned limit)
{
	bl_err_set(err, -E2BIG, "more than %u %s, the limit of one content",
		   limit, what);
	bl_err_hint(err, "leave old events out by --since");
	return -E2BIG;
}

static int write_rules(const struct bl_iocs *set, size_t count, bool more,
		       struct bl_buf *ret, struct bl_err *err)
{
	const struct bl_ioc_item *items = (const void *)set->items.data;
	unsigned kind;
	size_t i;

	for (i = 0; i < count; i++)
		for (kind = 0; kind < BL_EVENT_KINDS; kind++) {
			if (!(items[i].kinds >> kind & 1))
				continue;
			if (write_rule(set, &items[i], kind, more ? "," : "",
				       ret))
				return no_memory(err);
			if (ret->len > BL_CONTENT_JSON_MAX)
				return too_large(err, "bytes of text",
						 BL_CONTENT_JSON_MAX);
			more = true;
		}
	return 0;
}

/* Into the base's text, behind its last rule; or into one of our own. */
static int write_text(const struct bl_iocs *set, const struct base *base,
		      size_t count, struct bl_buf *ret, struct bl_err *err)
{
	static const char head[] =
		"{\"contract\":1,\n\"default\":{\"connect\":\"ignore\",\"exec\":\"ignore\",\"open\":\"ignore\"},\n\"rules\":[";
	static const char tail[] = "\n]}\n";
	const struct bl_content_text *t = &base->text;
	const char *end = t->end;
	int r;

	while (end && end > t->text && strchr(" \t\r\n", end[-1]))
		end--;
	r = end ? bl_buf_add(ret, t->text, (size_t)(end - t->text))
		: bl_buf_add(ret, head, sizeof(head) - 1);
	if (r)
		return no_memory(err);
	r = write_rules(set, count, end && t->count, ret, err);
	if (r)
		return r;
	r = end ? bl_buf_add(ret, end, (size_t)(t->text + t->len - end))
		: bl_buf_add(ret, tail, sizeof(tail) - 1);
	return r ? no_memory(err) : 0;
}

static int write_content(struct bl_iocs *set, const struct bl_iocs_base *from,
			 struct bl_buf *ret, struct bl_err *err)
{
	BL_CLEANUP(base_free) struct base base = { 0 };
	size_t count, text = from ? from->len : 0;
	int r = from ? read_base(set, from, &base, err) : 0;

	if (r)
		return r;
	if (set->items.len)
		qsort_r(set->items.data,
			set->items.len / sizeof(struct bl_ioc_item),
			sizeof(struct bl_ioc_item), compare, set);
	count = choose(set, &base, &text);
	if (set->rules + base.info.rules > BL_CONTENT_RULES_MAX)
		return too_large(err, "rules", BL_CONTENT_RULES_MAX);
	/* One piece from the start: a string that grows by doubling holds two
	 * of itself at the end. Pages that are not written cost nothing. */
	if (text > BL_CONTENT_JSON_MAX + RULE_TEXT_MAX + PATH_TEXT_MAX)
		text = BL_CONTENT_JSON_MAX + RULE_TEXT_MAX + PATH_TEXT_MAX;
	if (bl_buf_reserve(ret, text + RULE_TEXT_MAX))
		return no_memory(err);
	return write_text(set, &base, count, ret, err);
}

int bl_iocs_write(struct bl_iocs *set, const struct bl_iocs_base *base,
		  struct bl_buf *ret, struct bl_content_info *ret_info,
		  struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 }, bin = { 0 };
	int r = write_content(set, base, &text, err);

	if (r)
		return r;
	/* Its compiler has the last word; it needs the room. */
	bl_iocs_free(set);
	r = bl_content_compile("what was imported", text.data, text.len, &bin,
			       ret_info, err);
	if (r)
		return r;
	bl_buf_free(ret);
	*ret = text;
	text = (struct bl_buf){ 0 };
	return 0;
}
