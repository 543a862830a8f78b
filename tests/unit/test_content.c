/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler of content: what its author reads, and what comes out. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "tests/main.h"

static struct bl_buf bin;
static struct bl_content_info info;
static struct bl_err err;

static int compile(const char *json)
{
	bl_buf_free(&bin);
	err = (struct bl_err){ 0 };
	info = (struct bl_content_info){ 0 };
	return bl_content_compile("c.json", json, strlen(json), &bin, &info,
				  &err);
}

static void compiled(const char *json)
{
	ck_assert_msg(!compile(json), "%s", err.text);
	ck_assert_msg(!bl_content_check_binary("c.bin", bin.data, bin.len, NULL,
					       &err),
		      "%s", err.text);
}

#define RULE(members) "{\"contract\":1,\"rules\":[\n{" members "}]}"
#define OPEN	      "\"event\":\"open\",\"action\":\"emit\",\n"
#define CONN	      "\"event\":\"connect\",\"action\":\"emit\",\n"

static const struct {
	const char *json, *message;
} mistakes[] = {
	{ "{\"rules\":[]}", "c.json:1: required key 'contract' is missing" },
	{ "{\"contract\":1}", "c.json:1: required key 'rules' is missing" },
	{ "{\n\"contract\":2,\"rules\":[]}",
	  "c.json:2: contract: 2 is outside 1 to 1" },
	{ "{\"contract\":1,\"rules\":[],\n\"ruels\":[]}",
	  "c.json:2: ruels: unknown key (known: contract, default, rules)" },
	{ "{\"contract\":1,\n\"default\":{\"opne\":\"emit\"},\"rules\":[]}",
	  "c.json:2: default.opne: unknown key (known: connect, dns, exec, open)" },
	{ "{\"contract\":1,\"default\":{\n\"open\":\"log\"},\"rules\":[]}",
	  "c.json:2: default.open: 'log' is no action (ignore, emit)" },
	{ "{\"contract\":1,\"default\":{\n\"exec\":\"deny\"},\"rules\":[]}",
	  "c.json:2: default.exec: a default cannot be deny; deny by rules" },
	{ RULE("\"event\":\"fork\",\"action\":\"emit\",\"path\":\"/a\""),
	  "c.json:2: rules[0].event: 'fork' is no event (exec, open, connect, dns)" },
	{ RULE("\"event\":\"open\",\n\"action\":\"block\",\"path\":\"/a\""),
	  "c.json:3: rules[0].action: 'block' is no action (ignore, emit, deny)" },
	{ RULE("\"event\":\"connect\",\"address\":\"::1\",\n\"action\":\"deny\""),
	  "c.json:3: rules[0].action: connect cannot be denied, only exec and open" },
	{ RULE(OPEN "\"id\":\"x\""),
	  "c.json:2: rules[0]: a rule has exactly one of path, prefix, name, address, domain and sha256, this has 0" },
	{ RULE(OPEN "\"path\":\"/a\",\"prefix\":\"/b/\""),
	  "c.json:2: rules[0]: a rule has exactly one of path, prefix, name, address, domain and sha256, this has 2" },
	{ RULE(OPEN "\"path\":\"etc/shadow\""),
	  "c.json:3: rules[0].path: 'etc/shadow': a path begins with '/'" },
	{ RULE(OPEN "\"path\":\"/etc/\""),
	  "c.json:3: rules[0].path: '/etc/': a path does not end with '/'; for all below it use \"prefix\"" },
	{ RULE(OPEN "\"prefix\":\"/etc\""),
	  "c.json:3: rules[0].prefix: '/etc': a prefix ends with '/'; for one file use \"path\"" },
	{ RULE(OPEN "\"path\":\"/etc//shadow\""),
	  "c.json:3: rules[0].path: '/etc//shadow': '//' never occurs in a path as the kernel knows it" },
	{ RULE(OPEN "\"path\":\"/etc/../shadow\""),
	  "c.json:3: rules[0].path: '/etc/../shadow': '.' and '..' never occur in a path as the kernel knows it" },
	{ RULE(OPEN "\"prefix\":\"/etc/./\""),
	  "c.json:3: rules[0].prefix: '/etc/./': '.' and '..' never occur in a path as the kernel knows it" },
	{ RULE(OPEN "\"path\":\"/etc/..\""),
	  "c.json:3: rules[0].path: '/etc/..': '.' and '..' never occur in a path as the kernel knows it" },
	{ RULE(OPEN "\"path\":\"\""),
	  "c.json:3: rules[0].path: 0 bytes is outside 1 to 255" },
	{ RULE(OPEN "\"address\":\"1.2.3.4\""),
	  "c.json:3: rules[0].address: only connect rules take an address" },
	{ RULE(CONN "\"path\":\"/a\""),
	  "c.json:3: rules[0].path: only exec and open rules take a path" },
	{ RULE(CONN "\"address\":\"10.0.0\""),
	  "c.json:3: rules[0].address: '10.0.0' is no IPv4 or IPv6 address, alone or with /BITS" },
	{ RULE(CONN "\"address\":\"10.0.0.0/33\""),
	  "c.json:3: rules[0].address: '10.0.0.0/33' is no IPv4 or IPv6 address, alone or with /BITS" },
	{ RULE(CONN "\"address\":\"10.0.0.0/\""),
	  "c.json:3: rules[0].address: '10.0.0.0/' is no IPv4 or IPv6 address, alone or with /BITS" },
	{ RULE(CONN "\"address\":\"10.0.0.0/+8\""),
	  "c.json:3: rules[0].address: '10.0.0.0/+8' is no IPv4 or IPv6 address, alone or with /BITS" },
	{ RULE(CONN "\"address\":\"fe80::1/129\""),
	  "c.json:3: rules[0].address: 'fe80::1/129' is no IPv4 or IPv6 address, alone or with /BITS" },
	{ RULE(CONN "\"address\":\"10.0.0.1/8\""),
	  "c.json:3: rules[0].address: '10.0.0.1/8' has bits set behind its mask of 8" },
	{ RULE(CONN "\"address\":\"fd00::1/64\""),
	  "c.json:3: rules[0].address: 'fd00::1/64' has bits set behind its mask of 64" },
	{ RULE(CONN "\"address\":\"fd00::f000:0:0:0/65\""),
	  "c.json:3: rules[0].address: 'fd00::f000:0:0:0/65' has bits set behind its mask of 65" },
	{ RULE(CONN "\"address\":\"::ffff:10.0.0.1\""),
	  "c.json:3: rules[0].address: '::ffff:10.0.0.1': write a mapped address as IPv4, as it is reported" },
	{ RULE(OPEN "\"path\":\"/a\"},\n{" OPEN "\"path\":\"/a\""),
	  "c.json:4: rules[1]: matches the same as rules[0]" },
	{ RULE(CONN "\"address\":\"0.0.0.0/0\"},\n{" CONN
		    "\"address\":\"0.0.0.0/0\""),
	  "c.json:4: rules[1]: matches the same as rules[0]" },
	{ "{\"contract\":1,\"rules\":[\n7]}",
	  "c.json:2: rules[0]: an object was expected, this is a whole number" },
	{ "[]", "c.json:1: an object was expected, this is an array" },
};

START_TEST(mistake_names_line_and_field)
{
	int e;

	bl_buf_free(&bin);
	ck_assert_int_eq(bl_buf_add(&bin, "kept", 4), 0);
	err = (struct bl_err){ 0 };
	info.rules = 99;
	e = bl_content_compile("c.json", mistakes[_i].json,
			       strlen(mistakes[_i].json), &bin, &info, &err);
	ck_assert_int_eq(e, -EBADMSG);
	ck_assert_str_eq(err.text, mistakes[_i].message);
	ck_assert_str_eq(bl_buf_str(&bin), "kept");
	ck_assert_uint_eq(info.rules, 99);
}
END_TEST

/* Not doubles: exact and prefix, exec and open, v4 and v6, masks. */
START_TEST(near_doubles_are_different_rules)
{
	compiled(
		"{\"contract\":1,\"rules\":["
		"{\"event\":\"open\",\"path\":\"/\",\"action\":\"emit\"},"
		"{\"event\":\"open\",\"prefix\":\"/\",\"action\":\"emit\"},"
		"{\"event\":\"exec\",\"prefix\":\"/\",\"action\":\"emit\"},"
		"{\"event\":\"exec\",\"path\":\"/a\",\"action\":\"deny\"},"
		"{\"event\":\"connect\",\"address\":\"0.0.0.0/0\",\"action\":\"emit\"},"
		"{\"event\":\"connect\",\"address\":\"::/0\",\"action\":\"emit\"},"
		"{\"event\":\"connect\",\"address\":\"0.0.0.0/1\",\"action\":\"emit\"},"
		"{\"event\":\"connect\",\"address\":\"0.0.0.0\",\"action\":\"emit\"}]}");
	ck_assert_uint_eq(info.rules, 8);
	ck_assert_uint_eq(info.denies, 1);
	ck_assert_uint_eq(info.paths, 2);
	ck_assert_uint_eq(info.prefixes, 2);
	ck_assert_uint_eq(info.addresses, 4);
	ck_assert_uint_eq(info.kinds[BL_EVENT_OPEN], 2);
	ck_assert_uint_eq(info.kinds[BL_EVENT_EXEC], 2);
	ck_assert_uint_eq(info.kinds[BL_EVENT_CONNECT], 4);
}
END_TEST

static const char files[] =
	"{\"contract\":1,\"default\":{\"open\":\"emit\"},\"rules\":["
	"{\"id\":\"etc\",\"event\":\"open\",\"prefix\":\"/etc/\",\"action\":\"emit\"},"
	"{\"id\":\"ssh\",\"event\":\"open\",\"prefix\":\"/etc/ssh/\",\"action\":\"deny\"},"
	"{\"id\":\"pub\",\"event\":\"open\",\"path\":\"/etc/ssh/key.pub\",\"action\":\"ignore\"},"
	"{\"id\":\"pub-d\",\"event\":\"open\",\"prefix\":\"/etc/ssh/key.pub/\",\"action\":\"emit\"},"
	"{\"id\":\"run\",\"event\":\"exec\",\"prefix\":\"/etc/\",\"action\":\"deny\"},"
	"{\"event\":\"open\",\"path\":\"/\",\"action\":\"ignore\"}]}";

static const struct {
	unsigned kind;
	const char *path, *rule;
	unsigned action;
} path_cases[] = {
	{ BL_EVENT_OPEN, "/etc/passwd", "etc", BL_ACTION_EMIT },
	{ BL_EVENT_OPEN, "/etc/ssh/key", "ssh", BL_ACTION_DENY },
	{ BL_EVENT_OPEN, "/etc/ssh/a/b/c", "ssh", BL_ACTION_DENY },
	/* Exact beats the prefix, longer and shorter are no match of it. */
	{ BL_EVENT_OPEN, "/etc/ssh/key.pub", "pub", BL_ACTION_IGNORE },
	{ BL_EVENT_OPEN, "/etc/ssh/key.pu", "ssh", BL_ACTION_DENY },
	{ BL_EVENT_OPEN, "/etc/ssh/key.pubx", "ssh", BL_ACTION_DENY },
	{ BL_EVENT_OPEN, "/etc/ssh/key.pub/x", "pub-d", BL_ACTION_EMIT },
	/* A prefix is folders, not letters; the folder itself is not below. */
	{ BL_EVENT_OPEN, "/etc/sshd", "etc", BL_ACTION_EMIT },
	{ BL_EVENT_OPEN, "/etc", "default", BL_ACTION_EMIT },
	{ BL_EVENT_OPEN, "/etcetera/ssh/key", "default", BL_ACTION_EMIT },
	{ BL_EVENT_OPEN, "/", "rules[5]", BL_ACTION_IGNORE },
	{ BL_EVENT_OPEN, "/var/etc/ssh/key", "default", BL_ACTION_EMIT },
	/* Another kind, other rules, another default. */
	{ BL_EVENT_EXEC, "/etc/ssh/key.pub", "run", BL_ACTION_DENY },
	{ BL_EVENT_EXEC, "/bin/sh", "default", BL_ACTION_IGNORE },
};

START_TEST(longest_match_wins)
{
	struct bl_match m;

	compiled(files);
	m = bl_content_match_path(bin.data, path_cases[_i].kind,
				  path_cases[_i].path,
				  strlen(path_cases[_i].path));
	ck_assert_str_eq(bl_content_rule_name(bin.data, m.rule),
			 path_cases[_i].rule);
	ck_assert_uint_eq(m.action, path_cases[_i].action);
}
END_TEST

static const char nets[] =
	"{\"contract\":1,\"default\":{\"connect\":\"emit\"},\"rules\":["
	"{\"id\":\"ten\",\"event\":\"connect\",\"address\":\"10.0.0.0/8\",\"action\":\"ignore\"},"
	"{\"id\":\"ten-one\",\"event\":\"connect\",\"address\":\"10.1.0.0/16\",\"action\":\"emit\"},"
	"{\"id\":\"host\",\"event\":\"connect\",\"address\":\"10.1.2.3\",\"action\":\"ignore\"},"
	"{\"id\":\"half\",\"event\":\"connect\",\"address\":\"128.0.0.0/1\",\"action\":\"ignore\"},"
	"{\"id\":\"local\",\"event\":\"connect\",\"address\":\"fe80::/10\",\"action\":\"ignore\"},"
	"{\"id\":\"doc\",\"event\":\"connect\",\"address\":\"2001:db8::/64\",\"action\":\"ignore\"},"
	"{\"id\":\"doc-low\",\"event\":\"connect\",\"address\":\"2001:db8::8000:0:0:0/65\",\"action\":\"emit\"},"
	"{\"id\":\"six\",\"event\":\"connect\",\"address\":\"2001:db8::1\",\"action\":\"emit\"},"
	"{\"id\":\"any\",\"event\":\"connect\",\"address\":\"::/0\",\"action\":\"ignore\"}]}";

static const struct {
	const char *address, *rule;
} net_cases[] = {
	{ "10.2.3.4", "ten" },
	{ "10.1.255.255", "ten-one" },
	{ "10.1.2.3", "host" },
	{ "10.1.2.2", "ten-one" },
	{ "11.0.0.0", "default" },
	{ "0.0.0.0", "default" },
	{ "127.255.255.255", "default" },
	{ "128.0.0.0", "half" },
	{ "255.255.255.255", "half" },
	{ "fe80::1", "local" },
	{ "febf::1", "local" },
	{ "fec0::1", "any" },
	{ "2001:db8::2", "doc" },
	{ "2001:db8::8000:0:0:0", "doc-low" },
	{ "2001:db8::ffff:0:0:1", "doc-low" },
	{ "2001:db8::1", "six" },
	{ "2001:db8:0:1::1", "any" },
	{ "::", "any" },
	/* Mapped: treated as the v4 address that it is. */
	{ "::ffff:10.1.2.3", "host" },
	{ "::ffff:11.0.0.0", "default" },
	/* Looks like 10.0.0.0 in its first bytes, is v6. */
	{ "0a00::", "any" },
};

START_TEST(longest_mask_wins)
{
	const char *text = net_cases[_i].address;
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	uint8_t addr[16];
	struct bl_match m;

	compiled(nets);
	ck_assert_int_eq(inet_pton(family, text, addr), 1);
	m = bl_content_match_addr(bin.data, family, addr);
	ck_assert_str_eq(bl_content_rule_name(bin.data, m.rule),
			 net_cases[_i].rule);
}
END_TEST

/* A long path is decided by what the sensor sees of it, and an exact rule is
 * not met by the beginning of a longer path. */
START_TEST(long_paths)
{
	char json[1024], path[400];
	struct bl_match m;

	memset(path, 'p', sizeof(path));
	path[0] = '/';
	snprintf(json, sizeof(json),
		 "{\"contract\":1,\"rules\":["
		 "{\"event\":\"open\",\"path\":\"%.255s\",\"action\":\"deny\"},"
		 "{\"event\":\"open\",\"prefix\":\"/\",\"action\":\"emit\"}]}",
		 path);
	compiled(json);
	m = bl_content_match_path(bin.data, BL_EVENT_OPEN, path, 255);
	ck_assert_uint_eq(m.rule, 0);
	m = bl_content_match_path(bin.data, BL_EVENT_OPEN, path, 256);
	ck_assert_uint_eq(m.rule, 1);
	m = bl_content_match_path(bin.data, BL_EVENT_OPEN, path, 254);
	ck_assert_uint_eq(m.rule, 1);
	/* The longest prefix that there can be. */
	path[254] = '/';
	snprintf(
		json, sizeof(json),
		"{\"contract\":1,\"rules\":["
		"{\"event\":\"open\",\"prefix\":\"%.255s\",\"action\":\"deny\"}]}",
		path);
	compiled(json);
	m = bl_content_match_path(bin.data, BL_EVENT_OPEN, path, 300);
	ck_assert_uint_eq(m.rule, 0);
	/* As many folders as fit. */
	memset(path, '/', 255);
	m = bl_content_match_path(bin.data, BL_EVENT_OPEN, path, 255);
	ck_assert_uint_eq(m.rule, BL_RULE_NONE);
}
END_TEST

START_TEST(the_same_json_gives_the_same_bytes)
{
	bl_autobuf struct bl_buf json = { 0 }, again = { 0 };

	ck_assert_int_eq(bl_file_read(BL_TEST_SOURCE_DIR "/bpf/content.json",
				      BL_CONTENT_JSON_MAX, &json, &err),
			 0);
	compiled(json.data);
	ck_assert_uint_ge(info.rules, 5);
	ck_assert_int_eq(bl_content_compile("x", json.data, json.len, &again,
					    NULL, &err),
			 0);
	ck_assert_uint_eq(bin.len, again.len);
	ck_assert_mem_eq(bin.data, again.data, bin.len);
}
END_TEST

START_TEST(names_are_for_people)
{
	compiled(files);
	ck_assert_str_eq(bl_content_rule_name(bin.data, 6), "?");
	ck_assert_str_eq(bl_event_kind_name(BL_EVENT_CONNECT), "connect");
	ck_assert_str_eq(bl_event_kind_name(99), "?");
	ck_assert_str_eq(bl_action_name(BL_ACTION_DENY), "deny");
	ck_assert_str_eq(bl_action_name(99), "?");
}
END_TEST

/* More rules than a first guess at the table's size holds, every one found. */
START_TEST(many_rules)
{
	enum { RULES = 20000 };
	bl_autobuf struct bl_buf json = { 0 };
	char path[32];
	unsigned i;

	ck_assert_int_eq(bl_buf_printf(&json, "{\"contract\":1,\"rules\":["),
			 0);
	for (i = 0; i < RULES; i++)
		ck_assert_int_eq(
			bl_buf_printf(
				&json,
				"%s{\"event\":\"open\",\"path\":\"/f/%u\",\"action\":\"emit\"}",
				i ? "," : "", i),
			0);
	ck_assert_int_eq(bl_buf_printf(&json, "]}"), 0);
	compiled(json.data);
	ck_assert_uint_eq(info.rules, RULES);
	for (i = 0; i < 2 * RULES; i++) {
		snprintf(path, sizeof(path), "/f/%u", i);
		ck_assert_uint_eq(bl_content_match_path(bin.data, BL_EVENT_OPEN,
							path, strlen(path))
					  .rule,
				  i < RULES ? i : BL_RULE_NONE);
	}
}
END_TEST

START_TEST(too_many_masks)
{
	bl_autobuf struct bl_buf json = { 0 };
	unsigned i;

	ck_assert_int_eq(bl_buf_printf(&json, "{\"contract\":1,\"rules\":["),
			 0);
	for (i = 0; i <= BL_CONTENT_NETS_MAX; i++)
		ck_assert_int_eq(
			bl_buf_printf(
				&json,
				"%s\n{\"event\":\"connect\",\"address\":\"::/%u\",\"action\":\"emit\"}",
				i ? "," : "", i),
			0);
	ck_assert_int_eq(bl_buf_printf(&json, "]}"), 0);
	ck_assert_int_eq(compile(json.data), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"c.json:35: rules[33].address: more than 33 different lengths of IPv6 masks");
}
END_TEST

static void teardown(void)
{
	bl_buf_free(&bin);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("content");
	TCase *t = tcase_create("compile");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, mistake_names_line_and_field, 0,
			    BL_ARRAY_SIZE(mistakes));
	tcase_add_test(t, near_doubles_are_different_rules);
	tcase_add_loop_test(t, longest_match_wins, 0,
			    BL_ARRAY_SIZE(path_cases));
	tcase_add_loop_test(t, longest_mask_wins, 0, BL_ARRAY_SIZE(net_cases));
	tcase_add_test(t, long_paths);
	tcase_add_test(t, the_same_json_gives_the_same_bytes);
	tcase_add_test(t, names_are_for_people);
	tcase_add_test(t, many_rules);
	tcase_add_test(t, too_many_masks);
	suite_add_tcase(s, t);
	return s;
}
