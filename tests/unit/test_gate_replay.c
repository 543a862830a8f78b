/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded benign activity, and what a content would have done with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/gate/content/replay.h"
#include "tests/main.h"

static struct bl_report report;

static struct bl_recording recording(const char *name, const char *text)
{
	return (struct bl_recording){ name, text, text + strlen(text) };
}

/* --- the parser ----------------------------------------------------------- */

static int read_all(const char *text, size_t len, struct bl_recorded *ret_last,
		    unsigned *ret_events, struct bl_err *err)
{
	struct bl_recording rec = { "boot", text, text + len };
	struct bl_recording_reader reader = { .recording = &rec };
	int r;

	*ret_events = 0;
	while ((r = bl_recording_next(&reader, ret_last, err)) > 0)
		++*ret_events;
	return r;
}

START_TEST(a_recording_is_read)
{
	static const char text[] = "# boot\n\nexec 3 /usr/bin/a b\n"
				   "script 1 /x\n"
				   "connect 2 ::1\nconnect 1 10.0.0.1\n"
				   "open 1000000000 /";
	struct bl_recorded e = { 0 };
	struct bl_err err = { 0 };
	unsigned events;

	ck_assert_int_eq(read_all(text, sizeof(text) - 1, &e, &events, &err),
			 0);
	ck_assert_uint_eq(events, 5);
	ck_assert_int_eq(e.kind, BL_EVENT_OPEN);
	ck_assert_uint_eq(e.count, 1000000000);
	ck_assert_uint_eq(e.len, 1);
	ck_assert_int_eq(e.what[0], '/');
}
END_TEST

#define P64 "/456789012345678901234567890123456789012345678901234567890123456"

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ "fork 1 /a", "boot:1: no event (exec, script, open, connect, dns)" },
	{ "open", "boot:1: no count from 1 to 1000000000" },
	{ " open 1 /a", "boot:1: no event (exec, script, open, connect, dns)" },
	{ "# x\nopen 0 /a", "boot:2: no count from 1 to 1000000000" },
	{ "open -1 /a", "boot:1: no count from 1 to 1000000000" },
	{ "open 1000000001 /a", "boot:1: no count from 1 to 1000000000" },
	{ "open 99999999999999999999999 /a",
	  "boot:1: no count from 1 to 1000000000" },
	{ "open 1", "boot:1: no absolute path of at most 255 bytes" },
	{ "open 1 a", "boot:1: no absolute path of at most 255 bytes" },
	{ "open 1 /a\n\nopen 1  /a",
	  "boot:3: no absolute path of at most 255 bytes" },
	{ "exec 1 " P64 P64 P64 P64 "x",
	  "boot:1: no absolute path of at most 255 bytes" },
	{ "open 1 /a\tb", "boot:1: a control character" },
	{ "connect 1 /a", "boot:1: no IPv4 or IPv6 address" },
	{ "connect 1 10.0.0.0/8", "boot:1: no IPv4 or IPv6 address" },
	{ "connect 1 1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234",
	  "boot:1: no IPv4 or IPv6 address" },
};

START_TEST(a_mistake_names_its_line)
{
	struct bl_recorded e = { .count = 77 };
	struct bl_err err = { 0 };
	unsigned events;

	ck_assert_int_eq(read_all(mistakes[_i].text, strlen(mistakes[_i].text),
				  &e, &events, &err),
			 -EBADMSG);
	ck_assert_str_eq(err.text, mistakes[_i].message);
	if (!events)
		ck_assert_uint_eq(e.count, 77);
}
END_TEST

START_TEST(a_zero_byte_is_no_end)
{
	struct bl_recorded e;
	struct bl_err err = { 0 };
	unsigned events;

	ck_assert_int_eq(read_all("open 1 /a\0b\n", 12, &e, &events, &err),
			 -EBADMSG);
	ck_assert_int_eq(read_all("connect 1 ::1\0\n", 15, &e, &events, &err),
			 -EBADMSG);
}
END_TEST

/* --- the check ------------------------------------------------------------ */

static void replay(const char *json, const struct bl_recording *recordings,
		   size_t count)
{
	bl_autobuf struct bl_buf bin = { 0 };
	struct bl_err err = { 0 };
	int r;

	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "c.json", "content"), 0);
	r = bl_content_compile("c.json", json, strlen(json), &bin, NULL, &err);
	ck_assert_msg(!r, "%s", err.text);
	r = bl_replay_check_with("c.json", json, strlen(json), bin.data,
				 bin.len, recordings, count, &report);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(report.count, 0);
}

static void expect(size_t i, enum bl_verdict verdict, unsigned line,
		   const char *message)
{
	ck_assert_uint_gt(report.count, i);
	ck_assert_str_eq(report.findings[i].message, message);
	ck_assert_int_eq(report.findings[i].verdict, verdict);
	ck_assert_uint_eq(report.findings[i].line, line);
	ck_assert_str_eq(report.findings[i].check, "replay");
}

static const char boot[] = "exec 2 /usr/sbin/sshd\n"
			   "exec 40 /usr/bin/dash\n"
			   "open 30 /etc/passwd\n"
			   "open 3 /etc/ssh/moduli\n"
			   "open 4 /etc/ssh/sshd_config\n"
			   "open 1 /home/u/.profile\n"
			   "connect 20 127.0.0.1\n";
static const char build[] = "open 900 /usr/include/stdio.h\n"
			    "exec 10 /usr/bin/cc\n"
			    "exec 5 /usr/bin/dash\n";

static const char rules[] =
	"{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":[\n"
	"{\"id\":\"ssh\",\"event\":\"open\",\"prefix\":\"/etc/ssh/\",\"action\":\"emit\"},\n"
	"{\"id\":\"sh\",\"event\":\"exec\",\"path\":\"/usr/bin/dash\",\"action\":\"ignore\"},\n"
	"{\"id\":\"never\",\"event\":\"open\",\"path\":\"/nowhere\",\"action\":\"emit\"},\n"
	"{\"id\":\"lo\",\"event\":\"connect\",\"address\":\"127.0.0.0/8\",\"action\":\"emit\"}]}";

START_TEST(matches_are_counted_by_recording_and_by_rule)
{
	const struct bl_recording both[] = { recording("boot", boot),
					     recording("build", build) };

	replay(rules, both, 2);
	ck_assert_uint_eq(report.count, 5);
	expect(0, BL_VERDICT_PASS, 0,
	       "boot (38 opens, 42 execs, 20 connects): 27 reported by 2 rules, 2 by defaults, none denied");
	expect(1, BL_VERDICT_PASS, 0,
	       "build (900 opens, 15 execs, 0 connects): 0 reported by 0 rules, 10 by defaults, none denied");
	expect(2, BL_VERDICT_PASS, 3,
	       "rule \"sh\" (rules[1]): 45 ignored (boot 40, build 5)");
	expect(3, BL_VERDICT_PASS, 5,
	       "rule \"lo\" (rules[3]): 20 reported (boot 20)");
	expect(4, BL_VERDICT_PASS, 2,
	       "rule \"ssh\" (rules[0]): 7 reported (boot 7)");
	ck_assert_int_eq(bl_report_verdict(&report, NULL), BL_VERDICT_PASS);
}
END_TEST

START_TEST(what_a_healthy_host_did_may_not_be_denied)
{
	const struct bl_recording both[] = { recording("boot", boot),
					     recording("build", build) };

	replay("{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":[\n"
	       "{\"id\":\"ssh\",\"event\":\"open\",\"prefix\":\"/etc/ssh/\",\"action\":\"deny\"},\n"
	       "{\"event\":\"open\",\"path\":\"/home/u/.profile\",\"action\":\"deny\"}]}",
	       both, 2);
	expect(0, BL_VERDICT_REJECT, 2,
	       "rule \"ssh\" (rules[0]) denies, in the recording boot, opening /etc/ssh/moduli and 1 more, 7 times");
	expect(1, BL_VERDICT_REJECT, 3,
	       "rules[1] denies, in the recording boot, opening /home/u/.profile");
	ck_assert_str_ne(report.findings[0].hint, "");
	ck_assert_str_ne(report.findings[0].source, "");
	/* The other recording is played all the same. */
	expect(2, BL_VERDICT_PASS, 0,
	       "build (900 opens, 15 execs, 0 connects): 0 reported by 0 rules, 15 by defaults, none denied");
}
END_TEST

/* No event names a script, but whoever denies it stops it. */
START_TEST(a_script_is_denied_and_never_reported)
{
	struct bl_recording one = recording("boot",
					    "exec 2 /usr/bin/dash\n"
					    "script 2 /etc/init.d/cron\n");

	replay("{\"contract\":1,\"rules\":[\n"
	       "{\"event\":\"exec\",\"prefix\":\"/etc/\",\"action\":\"emit\"}]}",
	       &one, 1);
	ck_assert_uint_eq(report.count, 1);
	expect(0, BL_VERDICT_PASS, 0,
	       "boot (0 opens, 2 execs, 0 connects): 0 reported by 0 rules, 0 by defaults, none denied");
	replay("{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":[\n"
	       "{\"event\":\"exec\",\"prefix\":\"/etc/\",\"action\":\"deny\"}]}",
	       &one, 1);
	expect(0, BL_VERDICT_REJECT, 2,
	       "rules[0] denies, in the recording boot, executing /etc/init.d/cron");
}
END_TEST

START_TEST(a_flood_is_said_of_rule_and_default)
{
	const struct bl_recording both[] = { recording("boot", boot),
					     recording("build", build) };

	replay("{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":[\n"
	       "{\"id\":\"inc\",\"event\":\"open\",\"prefix\":\"/usr/include/\",\"action\":\"emit\"}]}",
	       both, 2);
	expect(2, BL_VERDICT_WARN, 2,
	       "rule \"inc\" (rules[0]) would report 88 % of what healthy hosts did (900 of 1015 recorded events)");
	replay("{\"contract\":1,\n\"default\":{\"open\":\"emit\"},\"rules\":[]}",
	       both, 2);
	expect(2, BL_VERDICT_WARN, 2,
	       "the default of open would report 92 % of what healthy hosts did (938 of 1015 recorded events)");
}
END_TEST

/* A recording that was not played has shown nothing. */
START_TEST(what_cannot_be_played_is_undecided)
{
	struct bl_recording one = recording("boot", "open 1 /a\nopen x /b\n");

	replay(rules, &one, 1);
	expect(0, BL_VERDICT_UNDECIDED, 0,
	       "the recording boot was not played: boot:2: no count from 1 to 1000000000");
	one = recording("boot", "# nothing\n");
	replay(rules, &one, 1);
	expect(0, BL_VERDICT_UNDECIDED, 0,
	       "the recording boot was not played: it holds no event");
	replay(rules, NULL, 0);
	expect(0, BL_VERDICT_UNDECIDED, 0, "there is no recording to play");
	ck_assert_int_eq(bl_report_verdict(&report, NULL),
			 BL_VERDICT_UNDECIDED);
}
END_TEST

/* What was read before the mistake is denied: that alone rejects. */
START_TEST(a_denial_counts_before_a_mistake)
{
	struct bl_recording one = recording("boot", "exec 1 /a\noops\n");

	replay("{\"contract\":1,\"rules\":[{\"event\":\"exec\",\"path\":\"/a\",\"action\":\"deny\"}]}",
	       &one, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_REJECT);
	ck_assert_int_eq(report.findings[1].verdict, BL_VERDICT_UNDECIDED);
}
END_TEST

START_TEST(many_rules_are_summed_up)
{
	bl_autobuf struct bl_buf json = { 0 }, text = { 0 };
	struct bl_recording one;
	unsigned i;

	bl_buf_printf(&json, "{\"contract\":1,\"rules\":[");
	for (i = 0; i < 100; i++) {
		bl_buf_printf(
			&json,
			"%s{\"event\":\"open\",\"path\":\"/%u\",\"action\":\"%s\"}",
			i ? "," : "", i, i < 50 ? "deny" : "emit");
		bl_buf_printf(&text, "open %u /%u\n", 1000 + i, i);
	}
	bl_buf_printf(&json, "]}");
	one = recording("boot", bl_buf_str(&text));
	replay(bl_buf_str(&json), &one, 1);
	ck_assert_uint_eq(report.count, 8 + 1 + 20 + 1);
	expect(8, BL_VERDICT_REJECT, 0, "boot: and 42 more rules that deny");
	expect(9, BL_VERDICT_PASS, 1, "rules[99]: 1099 reported (boot 1099)");
	expect(29, BL_VERDICT_PASS, 0, "and 80 more rules: 83160 matches");
}
END_TEST

/* --- what is built in ----------------------------------------------------- */

START_TEST(the_recordings_are_real_and_nobodys)
{
	static const char *const private[] = { "/home/", ".org" };
	bool seen[BL_EVENT_KINDS] = { false };
	size_t i, n, total = 0;

	ck_assert_uint_ge(bl_benign_count, 3);
	for (i = 0; i < bl_benign_count; i++) {
		const struct bl_recording *rec = &bl_benign[i];
		size_t len = (size_t)(rec->end - rec->text);
		struct bl_recorded e;
		struct bl_recording_reader reader = { .recording = rec };
		struct bl_err err = { 0 };
		unsigned events = 0;
		int r;

		while ((r = bl_recording_next(&reader, &e, &err)) > 0) {
			seen[e.kind] = true;
			events++;
		}
		ck_assert_msg(!r, "%s", err.text);
		ck_assert_msg(events > 200, "%s: %u", rec->name, events);
		total += len;
		for (n = 0; n < BL_ARRAY_SIZE(private); n++)
			ck_assert_msg(!memmem(rec->text, len, private[n],
					      strlen(private[n])),
				      "%s in %s", private[n], rec -> name);
	}
	for (i = 0; i < BL_EVENT_KINDS; i++)
		/* They are of hosts that asked nobody. */
		ck_assert_msg(seen[i] || i == BL_EVENT_DNS, "%s",
			      bl_event_kind_name(i));
	/* They lie in every belay. */
	ck_assert_uint_lt(total, 300000);
}
END_TEST

/* The content that belay ships neither denies nor floods. */
START_TEST(what_belay_ships_is_harmless)
{
	bl_autobuf struct bl_buf json = { 0 }, bin = { 0 };
	struct bl_err err = { 0 };
	size_t i, passes = 0;

	ck_assert_int_eq(bl_file_read(BL_TEST_SOURCE_DIR "/bpf/content.json",
				      BL_CONTENT_JSON_MAX, &json, &err),
			 0);
	ck_assert_int_eq(bl_content_compile("c.json", json.data, json.len, &bin,
					    NULL, &err),
			 0);
	ck_assert_int_eq(bl_replay_check("c.json", json.data, json.len,
					 bin.data, bin.len, &report),
			 0);
	for (i = 0; i < report.count; i++) {
		ck_assert_msg(report.findings[i].verdict == BL_VERDICT_PASS,
			      "%s", report.findings[i].message);
		passes += !!strstr(report.findings[i].message, "none denied");
	}
	ck_assert_uint_eq(passes, bl_benign_count);
}
END_TEST

/* What the table of vital paths does not name, real life does: package
 * installation runs scripts from below /var/lib. */
START_TEST(a_rule_that_breaks_package_installation_is_found)
{
	static const char json[] =
		"{\"contract\":1,\"rules\":[\n"
		"{\"event\":\"exec\",\"prefix\":\"/var/lib/dpkg/\",\"action\":\"deny\"}]}";

	replay(json, bl_benign, bl_benign_count);
	ck_assert_int_eq(bl_report_verdict(&report, NULL), BL_VERDICT_REJECT);
}
END_TEST

static void teardown(void)
{
	bl_report_free(&report);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("replay");
	TCase *t = tcase_create("replay");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_recording_is_read);
	tcase_add_loop_test(t, a_mistake_names_its_line, 0,
			    BL_ARRAY_SIZE(mistakes));
	tcase_add_test(t, a_zero_byte_is_no_end);
	tcase_add_test(t, matches_are_counted_by_recording_and_by_rule);
	tcase_add_test(t, what_a_healthy_host_did_may_not_be_denied);
	tcase_add_test(t, a_script_is_denied_and_never_reported);
	tcase_add_test(t, a_flood_is_said_of_rule_and_default);
	tcase_add_test(t, what_cannot_be_played_is_undecided);
	tcase_add_test(t, a_denial_counts_before_a_mistake);
	tcase_add_test(t, many_rules_are_summed_up);
	tcase_add_test(t, the_recordings_are_real_and_nobodys);
	tcase_add_test(t, what_belay_ships_is_harmless);
	tcase_add_test(t, a_rule_that_breaks_package_installation_is_found);
	suite_add_tcase(s, t);
	return s;
}
