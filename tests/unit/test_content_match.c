/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of content against a matcher that a child could check, on
 * random rules, paths and addresses; and binaries that somebody damaged.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "tests/main.h"

#define ROUNDS	  400
#define RULES	  60
#define RULES_MAX 100
#define QUERIES	  300

struct rule {
	char text[256];
	int family; /* 0: a path or prefix */
	uint8_t addr[16];
	unsigned bits;
	unsigned kind, action;
};

static uint64_t seed;
static struct rule rules[RULES_MAX];
static unsigned count;
static unsigned defaults[BL_EVENT_KINDS];
static struct bl_buf bin;
static struct bl_err err;

/* splitmix64 */
static unsigned rnd(unsigned below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % below;
}

/* Few names, so that rules and paths meet often. */
static void random_path(char ret[static 256], int prefix)
{
	static const char *const names[] = { "a", "b", "ab", "aa", "..." };
	/* Now and then one that is longer than events hold. */
	unsigned depth = rnd(40) ? rnd(5) : 100 + rnd(27), i;

	ret[0] = '\0';
	for (i = 0; i < depth && strlen(ret) < 250; i++) {
		strcat(ret, "/");
		strcat(ret, names[rnd(depth > 50 ? 2 : 5)]);
	}
	if (prefix || !*ret)
		strcat(ret, "/");
}

static void random_addr(uint8_t ret[static 16])
{
	unsigned i;

	for (i = 0; i < 16; i++)
		ret[i] = rnd(3) ? 0 : rnd(2) ? 0x80 : rnd(256);
	/* Not a mapped one. */
	ret[0] |= 0x20;
}

static void mask(uint8_t *addr, unsigned size, unsigned bits)
{
	unsigned i;

	for (i = bits; i < size * 8; i++)
		addr[i / 8] &= ~(0x80 >> i % 8);
}

static void random_rule(struct rule *r)
{
	static const unsigned lengths[] = { 0,	1,  3,	8,  9,	31,
					    32, 63, 64, 65, 128 };
	unsigned size;

	*r = (struct rule){ .kind = rnd(BL_EVENT_DNS) };
	if (r->kind != BL_EVENT_CONNECT) {
		r->action = rnd(BL_ACTIONS);
		random_path(r->text, rnd(2));
		return;
	}
	r->action = rnd(BL_ACTION_DENY);
	r->family = rnd(2) ? AF_INET : AF_INET6;
	size = r->family == AF_INET ? 4 : 16;
	r->bits = lengths[rnd(r->family == AF_INET ? 7 : 11)];
	random_addr(r->addr);
	mask(r->addr, size, r->bits);
}

static int same(const struct rule *x, const struct rule *y)
{
	return x->kind == y->kind && x->family == y->family &&
	       x->bits == y->bits && !strcmp(x->text, y->text) &&
	       !memcmp(x->addr, y->addr, x->family == AF_INET ? 4 : 16);
}

static void random_content(void)
{
	unsigned tries = rnd(RULES), i;

	for (i = 0; i < BL_EVENT_KINDS; i++)
		defaults[i] = rnd(BL_ACTION_DENY);
	for (count = 0; tries; tries--) {
		random_rule(&rules[count]);
		for (i = 0; !same(&rules[i], &rules[count]); i++)
			;
		/* Kept if it is the first of its kind. */
		count += i == count;
	}
}

static void compile_content(void)
{
	bl_autobuf struct bl_buf json = { 0 };
	char addr[INET6_ADDRSTRLEN];
	unsigned i;

	bl_buf_printf(
		&json,
		"{\"contract\":1,\"default\":{\"exec\":\"%s\",\"open\":\"%s\",\"connect\":\"%s\"},\"rules\":[",
		bl_action_name(defaults[0]), bl_action_name(defaults[1]),
		bl_action_name(defaults[2]));
	for (i = 0; i < count; i++) {
		const struct rule *r = &rules[i];
		size_t len = strlen(r->text);

		bl_buf_printf(&json, "%s{\"event\":\"%s\",\"action\":\"%s\",",
			      i ? "," : "", bl_event_kind_name(r->kind),
			      bl_action_name(r->action));
		if (r->family)
			bl_buf_printf(&json, "\"address\":\"%s/%u\"}",
				      inet_ntop(r->family, r->addr, addr,
						sizeof(addr)),
				      r->bits);
		else
			bl_buf_printf(&json, "\"%s\":\"%s\"}",
				      r->text[len - 1] == '/' ? "prefix"
							      : "path",
				      r->text);
	}
	bl_buf_printf(&json, "]}");
	bl_buf_free(&bin);
	ck_assert_msg(!bl_content_compile("c", json.data, json.len, &bin, NULL,
					  &err),
		      "%s\n%s", err.text, json.data);
	ck_assert_msg(!bl_content_check_binary("b", bin.data, bin.len, NULL,
					       &err),
		      "%s", err.text);
}

/* The naive matchers: the number of the best rule, or BL_RULE_NONE. */

static uint32_t naive_path(unsigned kind, const char *path)
{
	uint32_t best = BL_RULE_NONE;
	size_t len, longest = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		const char *text = rules[i].text;

		if (rules[i].kind != kind || rules[i].family)
			continue;
		len = strlen(text);
		if (text[len - 1] != '/') {
			if (!strcmp(text, path))
				return i;
		} else if (!strncmp(text, path, len) && len > longest) {
			best = i;
			longest = len;
		}
	}
	return best;
}

static uint32_t naive_addr(int family, const uint8_t *addr)
{
	unsigned size = family == AF_INET ? 4 : 16, i;
	uint32_t best = BL_RULE_NONE;
	uint8_t masked[16];
	int longest = -1;

	for (i = 0; i < count; i++) {
		memcpy(masked, addr, size);
		mask(masked, size, rules[i].bits);
		if (rules[i].family == family &&
		    !memcmp(masked, rules[i].addr, size) &&
		    (int)rules[i].bits > longest) {
			best = i;
			longest = rules[i].bits;
		}
	}
	return best;
}

static void compare(struct bl_match m, uint32_t best, unsigned kind)
{
	ck_assert_uint_eq(m.rule, best);
	ck_assert_uint_eq(m.action, best == BL_RULE_NONE ? defaults[kind]
							 : rules[best].action);
}

START_TEST(agrees_with_the_naive_matcher)
{
	unsigned round, i, kind, met = 0;
	char path[256];
	uint8_t addr[16];
	uint32_t best;
	int family;

	for (round = 0; round < ROUNDS; round++) {
		seed = round;
		random_content();
		compile_content();
		for (i = 0; i < QUERIES; i++) {
			kind = rnd(BL_EVENT_DNS);
			if (kind == BL_EVENT_CONNECT) {
				family = rnd(2) ? AF_INET : AF_INET6;
				random_addr(addr);
				best = naive_addr(family, addr);
				compare(bl_content_match_addr(bin.data, family,
							      addr),
					best, kind);
			} else {
				random_path(path, 0);
				best = naive_path(kind, path);
				compare(bl_content_match_path(bin.data, kind,
							      path,
							      strlen(path)),
					best, kind);
			}
			met += best != BL_RULE_NONE;
		}
	}
	/* Of 120000; a comparison of misses with misses shows nothing. */
	ck_assert_uint_gt(met, ROUNDS * QUERIES / 5);
}
END_TEST

/* Nearly every folder of the path is as far from its beginning as some prefix
 * is long; only the first is one. */
START_TEST(shortest_of_many_candidates)
{
	char path[256] = "";
	unsigned i;

	for (i = 0; i < 127; i++)
		strcat(path, "/a");
	for (count = 0; count < RULES_MAX; count++) {
		struct rule *r = &rules[count];

		*r = (struct rule){ .kind = BL_EVENT_OPEN,
				    .action = BL_ACTION_EMIT };
		memset(r->text, 'b', 3 + 2 * count);
		r->text[0] = r->text[2 + 2 * count] = '/';
	}
	rules[0].text[1] = 'a';
	compile_content();
	compare(bl_content_match_path(bin.data, BL_EVENT_OPEN, path,
				      strlen(path)),
		0, BL_EVENT_OPEN);
}
END_TEST

/* Damaged binaries */

static const char sample[] =
	"{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":["
	"{\"event\":\"open\",\"path\":\"/etc/shadow\",\"action\":\"deny\"},"
	"{\"event\":\"exec\",\"prefix\":\"/tmp/\",\"action\":\"emit\"},"
	"{\"event\":\"connect\",\"address\":\"10.0.0.0/8\",\"action\":\"ignore\"},"
	"{\"event\":\"connect\",\"address\":\"fd00::/8\",\"action\":\"ignore\"}]}";

static void load_sample(void)
{
	bl_buf_free(&bin);
	ck_assert_int_eq(bl_content_compile("c", sample, sizeof(sample) - 1,
					    &bin, NULL, &err),
			 0);
}

static struct bl_content_hdr *hdr(void)
{
	return (void *)bin.data;
}

/* The first rule of a type. */
static struct bl_content_bucket *bucket;
static unsigned slot;
static void find_slot(unsigned type)
{
	bucket = (void *)(bin.data + sizeof(*hdr()));
	for (;; bucket++)
		for (slot = 0; slot < BL_CONTENT_SLOTS; slot++)
			if (bucket->type[slot] == type)
				return;
}

#define DAMAGE(name, how)      \
	static void name(void) \
	{                      \
		how;           \
	}
DAMAGE(magic, hdr()->magic ^= 1)
DAMAGE(contract, hdr()->contract = 1)
DAMAGE(size, hdr()->size--)
DAMAGE(buckets_more, hdr()->bucket_count++)
DAMAGE(buckets_none, hdr()->bucket_count = 0)
DAMAGE(buckets_huge, hdr()->bucket_count = 1U << 31)
DAMAGE(rules_more, hdr()->rule_count++)
DAMAGE(rules_huge, hdr()->rule_count = 0xffffffff)
DAMAGE(denies, hdr()->deny_count = 0)
DAMAGE(kinds, hdr()->kind_rules[BL_EVENT_OPEN] = 0)
DAMAGE(types, hdr()->kind_types[BL_EVENT_OPEN] = 0)
DAMAGE(type_counts, hdr()->type_rules[BL_CONTENT_SHA256] = 1)
DAMAGE(types_none, hdr()->kind_types[BL_EVENT_KINDS] = 2)
DAMAGE(reserved_word, hdr()->reserved = 1)
DAMAGE(default_deny, hdr()->default_action[0] = BL_ACTION_DENY)
DAMAGE(default_bad, hdr()->default_action[2] = 77)
DAMAGE(reserved, hdr()->default_action[BL_EVENT_KINDS] = 1)
DAMAGE(nets_many, hdr()->net_count[0] = BL_CONTENT_NETS_MAX + 1)
DAMAGE(net_long, hdr()->net_len[0][0] = 33)
DAMAGE(net_more, hdr()->net_len[1][1] = 4)
DAMAGE(net_order, hdr()->net_count[0] = 2; hdr()->net_len[0][1] = 9)
DAMAGE(slot_type, find_slot(BL_CONTENT_EXACT); bucket->type[slot] = 9)
DAMAGE(slot_kind, find_slot(BL_CONTENT_EXACT); bucket->kind[slot] = 9)
DAMAGE(slot_action, find_slot(BL_CONTENT_EXACT); bucket->action[slot] = 9)
DAMAGE(slot_rule, find_slot(BL_CONTENT_EXACT); bucket->rule[slot] = 4)
DAMAGE(slot_reserved, find_slot(BL_CONTENT_EXACT); bucket->reserved[slot] = 20)
DAMAGE(slot_mixed, find_slot(BL_CONTENT_NET4);
       bucket->type[slot] = BL_CONTENT_EXACT)
DAMAGE(slot_gone, find_slot(BL_CONTENT_NET4);
       bucket->type[slot] = BL_CONTENT_EMPTY)
DAMAGE(slot_far, find_slot(BL_CONTENT_EXACT);
       bucket->hash[slot][0] ^= 1ULL << 63 | 1U << 31)
DAMAGE(deny_connect, find_slot(BL_CONTENT_NET4);
       bucket->action[slot] = BL_ACTION_DENY)
DAMAGE(name_long, memset(bin.data + bin.len - BL_CONTENT_NAME_MAX, 'x',
			 BL_CONTENT_NAME_MAX))
DAMAGE(shorter, bin.len--)
DAMAGE(header_only, bin.len = sizeof(struct bl_content_hdr))
DAMAGE(magic_cut, bin.len = 7)
DAMAGE(nothing, bin.len = 0)

static const struct {
	void (*how)(void);
	const char *message;
} damages[] = {
	{ magic, "b: not content in binary form" },
	{ contract, "b: content of contract 1, this belay knows 4" },
	{ size, "b: its size is not what its header says" },
	{ buckets_more,
	  "b: its size does not fit its numbers of buckets and rules" },
	{ buckets_none, "b: the number of buckets is out of range" },
	{ buckets_huge, "b: the number of buckets is out of range" },
	{ rules_more,
	  "b: its size does not fit its numbers of buckets and rules" },
	{ rules_huge, "b: too many rules" },
	{ denies, "b: the rules in its slots are not those its header counts" },
	{ kinds, "b: the rules in its slots are not those its header counts" },
	{ types, "b: the rules in its slots are not those its header counts" },
	{ type_counts,
	  "b: the rules in its slots are not those its header counts" },
	{ types_none, "b: a reserved field is in use" },
	{ reserved_word, "b: a reserved field is in use" },
	{ default_deny, "b: a default action is neither emit nor ignore" },
	{ default_bad, "b: a default action is neither emit nor ignore" },
	{ reserved, "b: a reserved field is in use" },
	{ nets_many, "b: too many lengths of masks" },
	{ net_long, "b: a length of a mask is out of range" },
	{ net_more, "b: a length of a mask is out of range" },
	{ net_order, "b: lengths of masks are not longest first" },
	{ slot_type, "b: a slot holds an unknown type, kind or action" },
	{ slot_kind, "b: a slot holds an unknown type, kind or action" },
	{ slot_action, "b: a slot holds an unknown type, kind or action" },
	{ slot_reserved, "b: a slot holds an unknown type, kind or action" },
	{ slot_rule, "b: a slot names a rule that there is not" },
	{ slot_mixed, "b: a slot's type does not fit its kind" },
	{ slot_gone,
	  "b: the rules in its slots are not those its header counts" },
	{ slot_far, "b: a slot lies in neither of its buckets" },
	{ deny_connect, "b: a slot denies what no sensor can refuse" },
	{ name_long, "b: the name of a rule does not end" },
	{ shorter, "b: its size is not what its header says" },
	{ header_only, "b: its size is not what its header says" },
	{ magic_cut, "b: not content in binary form" },
	{ nothing, "b: not content in binary form" },
};

START_TEST(damage_is_refused)
{
	struct bl_content_info info = { .rules = 99 };

	load_sample();
	damages[_i].how();
	err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_content_check_binary("b", bin.data, bin.len, &info,
						 &err),
			 -EBADMSG);
	ck_assert_str_eq(err.text, damages[_i].message);
	ck_assert_uint_eq(info.rules, 99);
}
END_TEST

/* Whatever passes the check can be used: nothing is read out of bounds (the
 * sanitizers look) and every answer is in range. */
START_TEST(any_byte_may_change)
{
	static const char path[] = "/tmp/a/b";
	uint8_t addr[16] = { 10, 1 };
	struct bl_match m;
	size_t at;
	unsigned i, passed = 0;

	for (at = 0; at < 4096; at++) {
		load_sample();
		if (at >= bin.len)
			break;
		for (i = 0; i < 4; i++) {
			bin.data[at] += 1 + rnd(254);
			if (bl_content_check_binary("b", bin.data, bin.len,
						    NULL, NULL))
				continue;
			passed++;
			m = bl_content_match_path(bin.data, BL_EVENT_EXEC, path,
						  sizeof(path) - 1);
			ck_assert_uint_lt(m.action, BL_ACTIONS);
			ck_assert_str_ne(bl_content_rule_name(bin.data, m.rule),
					 "?");
			m = bl_content_match_addr(bin.data, AF_INET6, addr);
			ck_assert_uint_lt(m.action, BL_ACTION_DENY);
			ck_assert_str_ne(bl_content_rule_name(bin.data, m.rule),
					 "?");
		}
	}
	ck_assert_uint_eq(at, bin.len);
	ck_assert_uint_gt(passed, 0);
}
END_TEST

/* Events */

static struct bl_event event;

static void make_event(void)
{
	event = (struct bl_event){ .size = BL_EVENT_FIXED + 5 + 4,
				   .kind = BL_EVENT_OPEN,
				   .action = BL_ACTION_EMIT,
				   .comm = "sh" };
	event.path.len = 4;
	strcpy(event.path.path, "/etc");
}

START_TEST(event_must_fit)
{
	make_event();
	ck_assert(bl_event_ok(&event, event.size));
	ck_assert(bl_event_ok(&event, sizeof(event)));
	ck_assert(!bl_event_ok(&event, event.size - 1));
	ck_assert(!bl_event_ok(&event, 0));
	event.path.len = 5;
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	make_event();
	event.path.path[4] = 'x';
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	make_event();
	event.path.len = 0xffff;
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	make_event();
	event.kind = BL_EVENT_KINDS;
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	make_event();
	event.action = BL_ACTIONS;
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	make_event();
	memset(event.comm, 'x', sizeof(event.comm));
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	make_event();
	event.kind = BL_EVENT_CONNECT;
	ck_assert(!bl_event_ok(&event, sizeof(event)));
	event.size = BL_EVENT_FIXED + sizeof(struct bl_event_addr);
	ck_assert(bl_event_ok(&event, event.size));
}
END_TEST

static void teardown(void)
{
	bl_buf_free(&bin);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("content_match");
	TCase *t = tcase_create("match");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, agrees_with_the_naive_matcher);
	tcase_add_test(t, shortest_of_many_candidates);
	tcase_add_loop_test(t, damage_is_refused, 0, BL_ARRAY_SIZE(damages));
	tcase_add_test(t, any_byte_may_change);
	tcase_add_test(t, event_must_fit);
	suite_add_tcase(s, t);
	return s;
}
