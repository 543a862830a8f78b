/* SPDX-License-Identifier: Apache-2.0 */
/* What rules would do to a host: said before any host gets them. */
#include <stdlib.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/gate/content/rules.h"
#include "loader/gate/content/ruleset.h"
#include "loader/gate/content/vital.h"
#include "tests/main.h"

static struct bl_report report;
static struct bl_buf bin;

static void check(const char *json)
{
	struct bl_err err = { 0 };
	int r;

	bl_report_free(&report);
	bl_buf_free(&bin);
	ck_assert_int_eq(bl_report_init(&report, "c.json", "content"), 0);
	r = bl_content_compile("c.json", json, strlen(json), &bin, NULL, &err);
	ck_assert_msg(!r, "%s", err.text);
	r = bl_rules_check("c.json", json, strlen(json), bin.data, bin.len,
			   &report);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(report.count, 0);
}

static const struct bl_finding *worst(void)
{
	const struct bl_finding *w = &report.findings[0];
	size_t i;

	for (i = 1; i < report.count; i++)
		if (report.findings[i].verdict > w->verdict)
			w = &report.findings[i];
	return w;
}

/* Three lines before the first rule, one rule a line. */
#define CONTENT(rules)                                                      \
	"{ \"contract\": 1,\n\"default\": { \"exec\": \"emit\", \"open\": " \
	"\"ignore\", \"connect\": \"emit\" },\n\"rules\": [\n" rules "\n] }"
#define RULE(id, event, what, where, action)                      \
	"{ \"id\": \"" id "\", \"event\": \"" event "\", \"" what \
	"\": \"" where "\", \"action\": \"" action "\" }"
#define DENY_OPEN(what, where) RULE("r", "open", what, where, "deny")
#define DENY_EXEC(what, where) RULE("r", "exec", what, where, "deny")
#define DEFAULTS(exec, open, connect, rules)                   \
	"{ \"contract\": 1,\n\"default\": { \"exec\": \"" exec \
	"\",\n\"open\": \"" open "\", \"connect\": \"" connect \
	"\" },\n\"rules\": [" rules "] }"

static const struct {
	const char *json;
	enum bl_verdict verdict;
	unsigned line;	     /* of the worst finding; 0: it has none */
	const char *message; /* the worst finding begins so */
} contents[] = {
	/* Nothing to say against these. */
	{ CONTENT(RULE("a", "open", "path", "/etc/shadow", "emit")),
	  BL_VERDICT_PASS, 0, "each of its 1 rules is found, none denies" },
	{ CONTENT(DENY_EXEC("prefix", "/tmp/")), BL_VERDICT_PASS, 0, "each " },
	{ CONTENT(DENY_EXEC("prefix", "/dev/shm/")), BL_VERDICT_PASS, 0, "" },
	{ CONTENT(DENY_OPEN("path", "/root/.ssh/id_rsa")), BL_VERDICT_PASS, 0,
	  "" },
	{ CONTENT(DENY_EXEC("path", "/usr/bin/nc.openbsd")), BL_VERDICT_PASS, 0,
	  "" },
	{ CONTENT(RULE("a", "connect", "address", "10.0.0.0/8", "ignore")),
	  BL_VERDICT_PASS, 0, "" },
	{ DEFAULTS("ignore", "ignore", "emit", ""), BL_VERDICT_PASS, 0, "" },
	/* An id gives events a name: no rule too many. */
	{ CONTENT(RULE("a", "exec", "prefix", "/opt/", "emit")),
	  BL_VERDICT_PASS, 0, "" },
	/* What a host needs is let through by longer rules. */
	{ CONTENT(DENY_OPEN("prefix", "/etc/pam.d/") ",\n" RULE(
		  "s", "open", "path", "/etc/pam.d/sshd",
		  "ignore") ",\n" RULE("l", "open", "path", "/etc/pam.d/login",
				       "emit") ",\n" RULE("c", "open", "path",
							  "/etc/pam.d/common-auth",
							  "emit") ",\n" RULE("t",
									     "open",
									     "path",
									     "/etc/pam.d/system-auth",
									     "emit")),
	  BL_VERDICT_PASS, 0, "" },

	/* The host would be lost. */
	{ CONTENT(RULE("a", "open", "path", "/x",
		       "emit") ",\n" DENY_OPEN("prefix", "/etc/ssh/")),
	  BL_VERDICT_REJECT, 5,
	  "rule \"r\" (rules[1]) denies opening /etc/ssh/sshd_config and 3 more paths that a host needs: nobody reaches the host over SSH" },
	{ CONTENT(DENY_EXEC("path", "/usr/bin/dash")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing /usr/bin/dash: no login gets a shell and no script runs" },
	{ CONTENT(DENY_EXEC("path", "/bin/bash")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing /bin/bash: no login" },
	{ CONTENT(DENY_OPEN("path", "/usr/bin/bash")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /usr/bin/bash: no login" },
	{ CONTENT(DENY_EXEC("path", "/usr/lib/systemd/systemd")),
	  BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing /usr/lib/systemd/systemd: the host does not boot" },
	{ CONTENT(DENY_EXEC("path", "/sbin/init")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing /sbin/init: the host does not boot" },
	{ CONTENT(DENY_OPEN("path",
			    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")),
	  BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2: no dynamically linked program starts" },
	{ CONTENT(DENY_OPEN("path", "/lib64/ld-linux-x86-64.so.2")),
	  BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /lib64/ld-linux-x86-64.so.2: no dyn" },
	{ CONTENT(DENY_OPEN("path", "/usr/lib/x86_64-linux-gnu/libc.so.6")),
	  BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /usr/lib/x86_64-linux-gnu/libc.so.6: no dyn" },
	{ CONTENT(DENY_EXEC("path", "/usr/sbin/sshd")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing /usr/sbin/sshd: nobody reaches" },
	{ CONTENT(DENY_EXEC("prefix", "/usr/local/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing /usr/local/bin/belay and 1 more path that a host needs: belay cannot take this content back" },
	{ CONTENT(DENY_OPEN("prefix", "/var/lib/belay/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /var/lib/belay/journal.db: belay" },
	{ CONTENT(DENY_OPEN("prefix", "/sys/fs/bpf/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /sys/fs/bpf/belay and 2 more" },
	{ CONTENT(DENY_OPEN("path", "/etc/passwd")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /etc/passwd: no user has a name" },
	{ CONTENT(DENY_OPEN("path", "/dev/null")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening /dev/null: programs do not" },
	{ CONTENT("{ \"event\": \"exec\", \"path\": \"/usr/bin/sudo\",\n\"action\": \"deny\" }"),
	  BL_VERDICT_REJECT, 4,
	  "rules[0] denies executing /usr/bin/sudo: nobody can log in" },

	/* Nearly everything. */
	{ CONTENT(DENY_OPEN("prefix", "/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening all below /: everything" },
	{ CONTENT(DENY_EXEC("prefix", "/usr/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies executing all below /usr/: nearly all programs" },
	{ CONTENT(DENY_OPEN("prefix", "/proc/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening all below /proc/: what the" },
	{ CONTENT(DENY_OPEN("prefix", "/home/")), BL_VERDICT_REJECT, 4,
	  "rule \"r\" (rules[0]) denies opening all below /home/: all that" },
	{ CONTENT(RULE("r", "open", "prefix", "/usr/", "emit")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) reports opening all below /usr/: nearly all" },
	{ CONTENT(RULE("r", "exec", "prefix", "/", "ignore")), BL_VERDICT_WARN,
	  4,
	  "rule \"r\" (rules[0]) ignores executing all below /: everything" },
	{ CONTENT(RULE("r", "connect", "address", "0.0.0.0/0", "ignore")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) ignores connecting to 0.0.0.0/0, every IPv4 address" },
	{ CONTENT(RULE("r", "connect", "address", "2000::/3", "ignore")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) ignores connecting to 2000::/3, nearly every IPv6 address" },
	{ CONTENT(RULE("r", "connect", "address", "::/0", "emit")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) reports connecting to ::/0, every IPv6" },
	{ DEFAULTS("emit", "emit", "emit", ""), BL_VERDICT_WARN, 3,
	  "the default of open reports every file that is opened" },

	/* Nothing at all. */
	{ DEFAULTS("ignore", "ignore", "ignore", ""), BL_VERDICT_REJECT, 2,
	  "no default and no rule reports or denies anything" },
	{ "{ \"contract\": 1,\n\"rules\": [\n" RULE("r", "open", "prefix",
						    "/etc/", "ignore") "] }",
	  BL_VERDICT_REJECT, 0,
	  "no default and no rule reports or denies anything" },

	/* Rules that do nothing. */
	{ CONTENT(RULE("r", "exec", "path", "/bin/nc", "deny")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) never matches where /bin is a symbolic link, as on most hosts: the kernel says /usr/bin/nc" },
	{ CONTENT(RULE("r", "exec", "path", "/bin/nc", "deny") ",\n" RULE(
		  "s", "exec", "path", "/usr/bin/nc", "deny")),
	  BL_VERDICT_PASS, 0, "" },
	{ CONTENT(RULE("r", "open", "prefix", "/var/run/secrets/",
		       "emit") ",\n" RULE("s", "open", "prefix", "/run/",
					  "emit")),
	  BL_VERDICT_PASS, 0, "" },
	{ CONTENT(RULE("r", "open", "path", "/proc/self/mem", "emit")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) never matches: /proc/self is a symbolic link that differs from process to process" },
	{ CONTENT(RULE("r", "open", "path", "/srv/a", "ignore")),
	  BL_VERDICT_WARN, 4, "rule \"r\" (rules[0]) changes nothing" },
	{ CONTENT("{ \"event\": \"exec\", \"path\": \"/srv/a\", \"action\": \"emit\" }"),
	  BL_VERDICT_WARN, 4, "rules[0] changes nothing" },
	{ CONTENT(RULE("r", "connect", "address", "10.0.0.0/8",
		       "ignore") ",\n" RULE("s", "connect", "address",
					    "10.0.0.0/16",
					    "ignore") ",\n" RULE("t", "connect",
								 "address",
								 "10.0.0.0",
								 "ignore")),
	  BL_VERDICT_WARN, 5,
	  "rule \"s\" (rules[1]) and 1 more rules change nothing" },
	/* Back to what a shorter mask took away. */
	{ CONTENT(RULE("r", "connect", "address", "10.0.0.0/8",
		       "ignore") ",\n" RULE("s", "connect", "address",
					    "10.1.0.0/16",
					    "emit") ",\n" RULE("t", "connect",
							       "address",
							       "10.1.1.0/24",
							       "ignore")),
	  BL_VERDICT_PASS, 0, "" },

	/* The empty file. */
	{ CONTENT(DENY_EXEC(
		  "path",
		  "/quarantine/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
	  BL_VERDICT_WARN, 4,
	  "rule \"r\" (rules[0]) names the digest of the empty file" },
	{ CONTENT(RULE("ioc-D41D8CD98F00B204E980", "open", "path", "/q/x",
		       "emit")),
	  BL_VERDICT_WARN, 4,
	  "rule \"ioc-D41D8CD98F00B204E980\" (rules[0]) names the digest" },
	{ CONTENT(RULE("d41d8cd98f01b204e980", "open", "path", "/q/x", "emit")),
	  BL_VERDICT_PASS, 0, "" },
};

START_TEST(a_content_gets_what_it_deserves)
{
	const struct bl_finding *w;

	check(contents[_i].json);
	w = worst();
	ck_assert_msg(w->verdict == contents[_i].verdict, "%s: %s",
		      bl_verdict_name(w->verdict), w->message);
	ck_assert_msg(!strncmp(w->message, contents[_i].message,
			       strlen(contents[_i].message)),
		      "%s", w->message);
	ck_assert_msg(w->line == contents[_i].line, "line %u: %s", w->line,
		      w->message);
	ck_assert_str_eq(w->check, "content");
	if (w->line) {
		ck_assert_str_eq(w->file, "c.json");
		ck_assert_str_ne(w->source, "");
		ck_assert_str_ne(w->hint, "");
	}
}
END_TEST

/* Whoever reads it must see what is wrong without opening the file. */
START_TEST(a_finding_shows_the_rule_as_written)
{
	check(CONTENT("  " DENY_OPEN("path", "/etc/passwd")));
	ck_assert_str_eq(
		worst()->source,
		"{ \"id\": \"r\", \"event\": \"open\", \"path\": \"/etc/passwd\", \"action\": \"deny\" }");
}
END_TEST

/* An id and a path may hold anything that JSON can say. */
START_TEST(a_name_cannot_fake_a_line_of_the_report)
{
	check(CONTENT(
		RULE("x\\naccepted", "exec", "path", "/bin/a\\nb", "emit")));
	ck_assert_str_eq(
		worst()->message,
		"rule \"x?accepted\" (rules[0]) never matches where /bin is a symbolic link, as on most hosts: the kernel says /usr/bin/a?b");
}
END_TEST

/* Each path of the table, by itself, with and without /usr. */
START_TEST(every_vital_path_is_defended)
{
	static const char *const kinds[] = { "exec", "open" };
	const struct bl_vital *v = &bl_vitals[_i];
	char json[512];
	unsigned kind, form;

	for (kind = 0; kind < 2; kind++) {
		for (form = 0; form < 2; form++) {
			const char *path = v->path;

			if (!(v->kinds & 1u << kind))
				continue;
			if (form && strncmp(path, "/usr/", 5) != 0)
				continue;
			snprintf(
				json, sizeof(json),
				CONTENT("{\"event\":\"%s\",\"path\":\"%s\",\"action\":\"deny\"}"),
				kinds[kind], form ? path + 4 : path);
			check(json);
			ck_assert_msg(worst()->verdict == BL_VERDICT_REJECT,
				      "%s %s", kinds[kind], path);
			ck_assert_msg(strstr(worst()->message, v->loss), "%s",
				      worst()->message);
		}
	}
}
END_TEST

START_TEST(what_belay_ships_is_harmless)
{
	bl_autobuf struct bl_buf json = { 0 };
	struct bl_err err = { 0 };

	ck_assert_int_eq(bl_file_read(BL_TEST_SOURCE_DIR "/bpf/content.json",
				      BL_CONTENT_JSON_MAX, &json, &err),
			 0);
	check(json.data);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(worst()->verdict, BL_VERDICT_PASS);
}
END_TEST

/* Thousands of bad rules are told in a few findings, and not one is lost. */
START_TEST(many_bad_rules_are_summed_up)
{
	bl_autobuf struct bl_buf json = { 0 };
	const struct bl_finding *last;
	unsigned i;

	bl_buf_printf(
		&json,
		"{\"contract\":1,\"rules\":[\n"
		"{\"event\":\"exec\",\"path\":\"/usr/bin/dash\",\"action\":\"deny\"}");
	for (i = 0; i < 5000; i++)
		bl_buf_printf(
			&json,
			",\n{\"id\":\"n\",\"event\":\"open\",\"path\":\"/bin/x%u\",\"action\":\"emit\"}",
			i);
	bl_buf_printf(&json, "]}");
	check(bl_buf_str(&json));
	ck_assert_uint_lt(report.count, 40);
	ck_assert_int_eq(worst()->verdict, BL_VERDICT_REJECT);
	last = &report.findings[report.count - 1];
	ck_assert_str_eq(last->message, "and 4984 more rules that never match");
}
END_TEST

/* More than are said one by one: the rest must still reject. */
START_TEST(the_last_of_many_rejections_rejects)
{
	bl_autobuf struct bl_buf json = { 0 };
	const struct bl_finding *last;
	size_t i, n = 0;

	bl_buf_printf(&json, "{\"contract\":1,\"rules\":[");
	for (i = 0; i < bl_vital_count; i++)
		if (bl_vitals[i].kinds & BL_VITAL_EXEC)
			bl_buf_printf(
				&json,
				"%s\n{\"event\":\"exec\",\"path\":\"%s\",\"action\":\"deny\"}",
				n++ ? "," : "", bl_vitals[i].path);
	bl_buf_printf(&json, "]}");
	check(bl_buf_str(&json));
	last = &report.findings[report.count - 1];
	ck_assert_int_eq(last->verdict, BL_VERDICT_REJECT);
	ck_assert_msg(strstr(last->message, "more rules that deny what a host"),
		      "%s", last->message);
}
END_TEST

/* The two forms are one thing, or nothing. */
START_TEST(another_binary_is_no_content)
{
	static const char a[] = CONTENT(DENY_EXEC("path", "/tmp/a"));
	static const char b[] = CONTENT(DENY_EXEC("path", "/tmp/b"));

	check(a);
	bl_report_free(&report);
	ck_assert_int_eq(bl_rules_check("c.json", b, strlen(b), bin.data,
					bin.len, &report),
			 0);
	ck_assert_int_eq(worst()->verdict, BL_VERDICT_REJECT);
	ck_assert_str_eq(
		worst()->message,
		"c.json: the binary form is not what the JSON compiles to");
	bl_report_free(&report);
	bin.data[0] ^= 1;
	ck_assert_int_eq(bl_rules_check("c.json", a, strlen(a), bin.data,
					bin.len, &report),
			 0);
	ck_assert_int_eq(worst()->verdict, BL_VERDICT_REJECT);
}
END_TEST

static void teardown(void)
{
	bl_report_free(&report);
	bl_buf_free(&bin);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("rules");
	TCase *t = tcase_create("rules");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, a_content_gets_what_it_deserves, 0,
			    BL_ARRAY_SIZE(contents));
	tcase_add_test(t, a_finding_shows_the_rule_as_written);
	tcase_add_test(t, a_name_cannot_fake_a_line_of_the_report);
	tcase_add_loop_test(t, every_vital_path_is_defended, 0,
			    (int)bl_vital_count);
	tcase_add_test(t, what_belay_ships_is_harmless);
	tcase_add_test(t, many_bad_rules_are_summed_up);
	tcase_add_test(t, the_last_of_many_rejections_rejects);
	tcase_add_test(t, another_binary_is_no_content);
	suite_add_tcase(s, t);
	return s;
}
