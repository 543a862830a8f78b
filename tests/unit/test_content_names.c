/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for names: of files, in any folder, and in DNS, with all below them; and
 * what of a datagram is taken for a question. */
#include <errno.h>
#include <string.h>

#include "bpf/dns.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "tests/main.h"
#include "tests/support/rules.h"

static int path_is(unsigned kind, const char *path)
{
	return (int)bl_content_match_path(rules.bin.data, kind, path,
					  strlen(path))
		.rule;
}

static int domain_is(const char *name)
{
	return (int)bl_content_match_domain(rules.bin.data, name, strlen(name))
		.rule;
}

#define NONE (-1) /* BL_RULE_NONE */

START_TEST(a_name_is_found_in_every_folder_and_nothing_like_it)
{
	rules_compile(
		"{\"event\":\"exec\",\"name\":\"xmrig\",\"action\":\"deny\"}");
	ck_assert_int_eq(path_is(BL_EVENT_EXEC, "/xmrig"), 0);
	ck_assert_int_eq(path_is(BL_EVENT_EXEC, "/tmp/.x/xmrig"), 0);
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, "/tmp/.x/xmrig"), NONE);
	ck_assert_int_eq(path_is(BL_EVENT_EXEC, "/tmp/xmrig/a"), NONE);
	ck_assert_int_eq(path_is(BL_EVENT_EXEC, "/tmp/xmrig2"), NONE);
	ck_assert_int_eq(path_is(BL_EVENT_EXEC, "/tmp/axmrig"), NONE);
	ck_assert_int_eq(path_is(BL_EVENT_EXEC, "/tmp/mrig"), NONE);
	ck_assert_uint_eq(rules.info.names, 1);
	ck_assert_uint_eq(rules.info.denies, 1);
}
END_TEST

START_TEST(a_path_beats_a_name_and_a_name_beats_a_folder)
{
	rules_compile(
		"{\"event\":\"open\",\"name\":\"n\",\"action\":\"emit\"},"
		"{\"event\":\"open\",\"prefix\":\"/a/b/\",\"action\":\"ignore\"},"
		"{\"event\":\"open\",\"path\":\"/a/b/n\",\"action\":\"ignore\"}");
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, "/a/b/n"), 2);
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, "/a/b/c/n"), 0);
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, "/a/b/c/m"), 1);
}
END_TEST

/* A deep folder does not hide a file. */
START_TEST(a_name_is_found_behind_what_a_path_is_cut_to)
{
	char path[2048] = "";

	rules_compile(
		"{\"event\":\"open\",\"name\":\"n\",\"action\":\"emit\"}");
	while (strlen(path) < 1000)
		strcat(path, "/folder");
	strcat(path, "/n");
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, path), 0);
	strcat(path, "o");
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, path), NONE);
}
END_TEST

START_TEST(the_longest_name_that_there_can_be_is_found)
{
	char rule[512], path[512] = "/folder/";

	memset(path + 8, 'x', 255);
	path[8 + 255] = '\0';
	snprintf(rule, sizeof(rule),
		 "{\"event\":\"open\",\"name\":\"%s\",\"action\":\"emit\"}",
		 path + 8);
	rules_compile(rule);
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, path), 0);
	path[8 + 254] = '\0';
	ck_assert_int_eq(path_is(BL_EVENT_OPEN, path), NONE);
}
END_TEST

START_TEST(a_domain_is_found_with_all_below_it)
{
	rules_compile(
		"{\"event\":\"dns\",\"domain\":\"evil.example\",\"action\":\"emit\"},"
		"{\"event\":\"dns\",\"domain\":\"ok.evil.example\",\"action\":\"ignore\"}");
	ck_assert_int_eq(domain_is("evil.example"), 0);
	ck_assert_int_eq(domain_is("a.evil.example"), 0);
	ck_assert_int_eq(domain_is("a.b.evil.example"), 0);
	ck_assert_int_eq(domain_is("ok.evil.example"), 1);
	ck_assert_int_eq(domain_is("a.ok.evil.example"), 1);
	ck_assert_int_eq(domain_is("notok.evil.example"), 0);
	ck_assert_int_eq(domain_is("notevil.example"), NONE);
	ck_assert_int_eq(domain_is("example"), NONE);
	ck_assert_int_eq(domain_is("evil.example.net"), NONE);
	ck_assert_int_eq(domain_is("."), NONE);
	ck_assert_uint_eq(rules.info.domains, 2);
	ck_assert_uint_eq(rules.info.kinds[BL_EVENT_DNS], 2);
}
END_TEST

/* As many labels as a name can have, each of which might be a rule's. */
START_TEST(a_name_of_nothing_but_dots_is_looked_up_to_its_end)
{
	char all[4096] = "", name[256] = "";
	size_t i;

	for (i = 1; i < 32; i++)
		snprintf(
			all + strlen(all), sizeof(all) - strlen(all),
			"%s{\"event\":\"dns\",\"domain\":\"%.*s\",\"action\":\"emit\"}",
			i > 1 ? "," : "", (int)(2 * i - 1),
			"b.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a");
	rules_compile(all);
	for (i = 0; i < 126; i++)
		strcat(name, "x.");
	strcat(name, "b");
	ck_assert_int_eq(domain_is(name), 0);
}
END_TEST

static const struct {
	const char *rule, *why;
} mistakes[] = {
	{ "\"event\":\"open\",\"name\":\"a/b\"",
	  "c:2: rules[0].name: 'a/b': a name has no '/'; for one file use \"path\"" },
	{ "\"event\":\"open\",\"name\":\"..\"",
	  "c:2: rules[0].name: '..': '.' and '..' never occur in a path as the kernel knows it" },
	{ "\"event\":\"dns\",\"name\":\"a\"",
	  "c:2: rules[0].name: only exec and open rules take a name" },
	{ "\"event\":\"open\",\"domain\":\"a.example\"",
	  "c:2: rules[0].domain: only dns rules take a domain" },
	{ "\"event\":\"dns\",\"address\":\"192.0.2.1\"",
	  "c:2: rules[0].address: only connect rules take an address" },
	{ "\"event\":\"dns\",\"domain\":\"A.example\"",
	  "c:2: rules[0].domain: 'A.example': write it in small letters: DNS knows no others" },
	{ "\"event\":\"dns\",\"domain\":\"a.example.\"",
	  "c:2: rules[0].domain: 'a.example.': a label is missing: no dot in front, behind or beside another" },
	{ "\"event\":\"dns\",\"domain\":\"a..example\"",
	  "c:2: rules[0].domain: 'a..example': a label is missing: no dot in front, behind or beside another" },
	{ "\"event\":\"dns\",\"domain\":\"*.example\"",
	  "c:2: rules[0].domain: '*.example': no name of a host has this in it; of another script, write what is sent (xn--…)" },
	{ "\"event\":\"dns\",\"domain\":\"a-label-of-more-than-sixty-three-characters-is-none-that-dns-could-send.example\"",
	  "c:2: rules[0].domain: 'a-label-of-more-than-sixty-three-characters-is-none-that-dns-could-send.example': a label has at most 63 characters" },
};

START_TEST(a_rule_that_could_match_nothing_is_refused)
{
	rules_refused(mistakes[_i].rule, mistakes[_i].why);
}
END_TEST

START_TEST(what_is_asked_of_dns_cannot_be_denied)
{
	ck_assert_int_eq(
		rules_try(
			"{\"event\":\"dns\",\"domain\":\"a.example\",\"action\":\"deny\"}"),
		-EBADMSG);
	ck_assert_str_eq(
		rules.err.text,
		"c:2: rules[0].action: dns cannot be denied, only exec and open");
}
END_TEST

/* --- datagrams ------------------------------------------------------------ */

#define ASKS "\0\1\1\0\0\1\0\0\0\0\0\0"

static const struct {
	const char *msg;
	size_t len;
	const char *name; /* NULL: no question */
} messages[] = {
#define MSG(bytes) bytes, sizeof(bytes) - 1
	{ MSG(ASKS "\3www\4evil\7example\0\0\1\0\1"), "www.evil.example" },
	{ MSG(ASKS "\3wWw\4EVIL\7example\0"), "www.evil.example" },
	{ MSG(ASKS "\1a\0"), "a" },
	{ MSG(ASKS "\0\0\1\0\1"), "." },
	/* A dot, blanks, zeros in a label are not what they seem. */
	{ MSG(ASKS "\6a.b c\0\7example\0"), "a?b?c?.example" },
	{ MSG(ASKS "\2\xc3\xa4\0"), "??" },
	/* An answer, a notification, no question, a pointer, no end. */
	{ MSG("\0\1\x81\0\0\1\0\0\0\0\0\0\1a\0"), NULL },
	{ MSG("\0\1\x20\0\0\1\0\0\0\0\0\0\1a\0"), NULL },
	{ MSG("\0\1\1\0\0\0\0\0\0\0\0\0\1a\0"), NULL },
	{ MSG(ASKS "\1a\xc0\x0c"), NULL },
	{ MSG(ASKS "\5abc"), NULL },
	{ MSG(ASKS "\1a"), NULL },
	{ MSG(ASKS), NULL },
	{ MSG("\0\1\1\0\0"), NULL },
};

START_TEST(a_question_is_told_from_what_is_none)
{
	uint8_t msg[BL_DNS_MESSAGE_MAX] = { 0 };
	char name[BL_EVENT_PATH_MAX];
	struct bl_dns_walk walk = { 0 };
	int found;

	memcpy(msg, messages[_i].msg, messages[_i].len);
	memset(name, '#', sizeof(name));
	found = bl_dns_name(msg, (uint32_t)messages[_i].len, name, &walk);
	ck_assert_int_eq(found, messages[_i].name != NULL);
	if (!found)
		return;
	ck_assert_uint_eq(walk.len, strlen(messages[_i].name));
	ck_assert(!memcmp(name, messages[_i].name, walk.len));
	ck_assert_int_eq(name[walk.len], '#');
}
END_TEST

START_TEST(the_longest_name_that_dns_can_send_is_read)
{
	uint8_t msg[BL_DNS_MESSAGE_MAX] = ASKS;
	char name[BL_EVENT_PATH_MAX];
	struct bl_dns_walk walk = { 0 };
	size_t at = BL_DNS_HEADER, i;

	for (i = 0; i < 127; i++) {
		msg[at++] = 1;
		msg[at++] = 'a';
	}
	msg[at++] = 0;
	ck_assert_uint_eq(at, sizeof(msg));
	ck_assert(bl_dns_name(msg, sizeof(msg), name, &walk));
	ck_assert_uint_eq(walk.len, 253);
	msg[at - 1] = 1;
	ck_assert(!bl_dns_name(msg, sizeof(msg), name, &walk));
}
END_TEST

static void teardown(void)
{
	rules_done();
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("content_names");
	TCase *files = tcase_create("rules"), *dns = tcase_create("dns");

	tcase_add_checked_fixture(files, NULL, teardown);
	tcase_add_test(files,
		       a_name_is_found_in_every_folder_and_nothing_like_it);
	tcase_add_test(files, a_path_beats_a_name_and_a_name_beats_a_folder);
	tcase_add_test(files, a_name_is_found_behind_what_a_path_is_cut_to);
	tcase_add_test(files, the_longest_name_that_there_can_be_is_found);
	tcase_add_test(files, a_domain_is_found_with_all_below_it);
	tcase_add_test(files,
		       a_name_of_nothing_but_dots_is_looked_up_to_its_end);
	tcase_add_loop_test(files, a_rule_that_could_match_nothing_is_refused,
			    0, BL_ARRAY_SIZE(mistakes));
	tcase_add_test(files, what_is_asked_of_dns_cannot_be_denied);
	suite_add_tcase(s, files);
	tcase_add_loop_test(dns, a_question_is_told_from_what_is_none, 0,
			    BL_ARRAY_SIZE(messages));
	tcase_add_test(dns, the_longest_name_that_dns_can_send_is_read);
	suite_add_tcase(s, dns);
	return s;
}
