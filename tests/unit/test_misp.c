/* SPDX-License-Identifier: Apache-2.0 */
/* MISP feeds: what becomes a rule, what is left out and is counted, and feeds
 * that somebody made to be believed. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/bundle/digest.h"
#include "loader/import/misp.h"
#include "tests/main.h"

#define UUID "5f1a0c2e-1111-4222-8333-0123456789ab"
#define TIME 1590000000

static const struct bl_misp_event said = { UUID, TIME };
static struct bl_iocs set;
static struct bl_buf text;
static struct bl_content_info info;
static struct bl_err err;

static void setup(void)
{
	set = (struct bl_iocs){ .action = BL_ACTION_EMIT };
	err = (struct bl_err){ 0 };
}

static void teardown(void)
{
	bl_iocs_free(&set);
	bl_buf_free(&text);
}

static void add(const char *type, const char *value)
{
	uint32_t source;

	ck_assert_int_eq(bl_iocs_source(&set, "misp-x", &source, &err), 0);
	ck_assert_int_eq(bl_iocs_add(&set, type, value, source, &err), 0);
}

static void write_into(const char *base)
{
	const struct bl_iocs_base b = { "base.json", base,
					base ? strlen(base) : 0 };

	ck_assert_msg(bl_iocs_write(&set, base ? &b : NULL, &text, &info,
				    &err) == 0,
		      "%s", err.text);
}

/* How many of @type met @fate. */
static unsigned fate(const char *type, enum bl_ioc_fate f)
{
	unsigned i;

	for (i = 0; i < set.type_count; i++)
		if (!strcmp(set.types[i].name, type))
			return set.types[i].fates[f];
	return 0;
}

static bool has(const char *what)
{
	return strstr(bl_buf_str(&text), what);
}

/* An event with these attributes, read. */
static int event(const char *attributes)
{
	bl_autofree char *json = bl_path("{\"Event\":{\"uuid\":\"" UUID
					 "\",\"timestamp\":\"%d\","
					 "\"info\":\"x\",\"Attribute\":[%s]}}",
					 TIME, attributes);

	return bl_misp_event_read("e.json", json, strlen(json), &said, &set,
				  &err);
}

static int raw(const char *json)
{
	return bl_misp_event_read("e.json", json, strlen(json), &said, &set,
				  &err);
}

/* Reads a manifest under its own digest. */
static int manifest(const char *json, struct bl_misp_manifest *m)
{
	char digest[BL_DIGEST_HEX];

	bl_digest(json, strlen(json), digest);
	return bl_misp_manifest_read("manifest.json", json, strlen(json),
				     digest, m, &err);
}

START_TEST(what_the_sensor_sees_becomes_rules)
{
	add("ip-dst", "192.0.2.7");
	add("ip-src", "198.51.100.0/24");
	add("ip-dst", "2001:db8::1");
	add("ip-dst|port", "203.0.113.9|443");
	add("domain|ip", "evil.example|203.0.113.10");
	add("filename", "/tmp/.X11/\"odd\\ name\"");
	add("filename|md5", "/opt/bad|d41d8cd98f00b204");
	write_into(NULL);
	ck_assert_uint_eq(info.addresses, 5);
	ck_assert_uint_eq(info.paths, 4); /* exec and open of two */
	ck_assert_uint_eq(set.widened, 3);
	ck_assert_uint_eq(info.domains, 1);
	ck_assert(has("\"address\":\"192.0.2.7\",\"action\":\"emit\""));
	ck_assert(has("\"address\":\"198.51.100.0/24\""));
	ck_assert(has("\"address\":\"2001:db8::1\""));
	ck_assert(has("\"address\":\"203.0.113.9\""));
	ck_assert(has("\"address\":\"203.0.113.10\""));
	ck_assert(has("\"event\":\"exec\",\"path\":\"/opt/bad\""));
	ck_assert(has("/tmp/.X11/\\\"odd\\\\ name\\\""));
}
END_TEST

#define SUM  "6ae8a75555209fd6c44157c0aed8016e763ff435a19cf186f76863140143ff72"
#define SUM2 "0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD0BAD"
#define SUM0 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* With a name or without; once. */
START_TEST(a_sha256_becomes_a_rule_for_what_is_executed)
{
	add("sha256", SUM);
	add("filename|sha256", "curl|" SUM);
	add("filename|sha256", "a|b.exe|" SUM2);
	write_into(NULL);
	ck_assert_uint_eq(info.sums, 2);
	ck_assert_uint_eq(info.rules, 2);
	ck_assert_uint_eq(set.widened, 0);
	ck_assert(has("\"event\":\"exec\",\"sha256\":\"" SUM
		      "\",\"action\":\"emit\""));
	ck_assert(has("\"sha256\":\"0bad0bad"));
	ck_assert_uint_eq(fate("filename|sha256", BL_IOC_TWICE), 1);
}
END_TEST

/* What it reports lifts no refusal (bl_content_sum), so it is taken beside one. */
START_TEST(the_base_wins_over_the_same_sha256_alone)
{
	static const char base[] =
		"{\"contract\":1,\"rules\":["
		"{\"event\":\"exec\",\"prefix\":\"/tmp/\",\"action\":\"deny\"},"
		"{\"event\":\"exec\",\"sha256\":\"" SUM
		"\",\"action\":\"ignore\"}]}";

	add("sha256", SUM);
	add("sha256", SUM2);
	write_into(base);
	ck_assert_uint_eq(info.sums, 2);
	ck_assert_uint_eq(fate("sha256", BL_IOC_BASE), 1);
	ck_assert_uint_eq(fate("sha256", BL_IOC_RULE), 1);
}
END_TEST

static const struct {
	const char *type, *value;
	enum bl_ioc_fate fate;
} left_out[] = {
	{ "sha256", "e3b0c442", BL_IOC_NO_SUM },
	{ "sha256", SUM0, BL_IOC_NO_SUM },
	{ "sha256", SUM "0", BL_IOC_NO_SUM },
	{ "sha256", "curl|" SUM, BL_IOC_NO_SUM },
	{ "filename|sha256", SUM, BL_IOC_NO_SUM },
	{ "filename|sha256", "curl|", BL_IOC_NO_SUM },
	{ "sha512", SUM SUM, BL_IOC_HASH },
	{ "md5", "d41d8cd9", BL_IOC_HASH },
	{ "domain", "example", BL_IOC_NO_DOMAIN },
	{ "domain", "", BL_IOC_NO_DOMAIN },
	{ "domain", "evil..example", BL_IOC_NO_DOMAIN },
	{ "hostname", "http://evil.example", BL_IOC_NO_DOMAIN },
	{ "hostname|port", "evil.example", BL_IOC_NO_DOMAIN },
	{ "url", "http://evil.example/", BL_IOC_URL },
	{ "yara", "rule x {}", BL_IOC_TYPE },
	{ "filename", "sshd", BL_IOC_COMMON_NAME },
	{ "filename|md5", "sshd|d41d8cd9", BL_IOC_COMMON_NAME },
	{ "filename", "..", BL_IOC_NO_PATH },
	{ "filename", "C:\\Windows\\evil.exe", BL_IOC_NO_PATH },
	{ "filename", "tmp/evil", BL_IOC_NO_PATH },
	{ "filename", "/tmp/../etc/passwd", BL_IOC_NO_PATH },
	{ "filename", "/tmp/", BL_IOC_NO_PATH },
	{ "filename", "", BL_IOC_NO_PATH },
	{ "ip-dst", "192.0.2.300", BL_IOC_NO_ADDRESS },
	{ "ip-dst", "192.0.2.1/24", BL_IOC_NO_ADDRESS },
	{ "ip-dst", "::ffff:192.0.2.1", BL_IOC_NO_ADDRESS },
	{ "ip-dst", "", BL_IOC_NO_ADDRESS },
	{ "ip-dst|port", "192.0.2.1", BL_IOC_NO_ADDRESS },
	{ "ip-dst|port", "192.0.2.1|70000", BL_IOC_NO_ADDRESS },
	{ "domain|ip", "evil.example", BL_IOC_NO_DOMAIN },
	{ "ip-dst", "0.0.0.0/0", BL_IOC_WIDE },
	{ "ip-src", "::/0", BL_IOC_WIDE },
};

START_TEST(the_rest_is_left_out_and_counted_with_its_reason)
{
	const char *type = left_out[_i].type;

	add(type, left_out[_i].value);
	write_into(NULL);
	ck_assert_uint_eq(fate(type, left_out[_i].fate), 1);
	ck_assert_uint_eq(set.count, 1);
	ck_assert_uint_eq(info.rules, 0);
}
END_TEST

START_TEST(a_path_longer_than_the_sensor_compares_is_left_out)
{
	char path[BL_CONTENT_PATH_MAX + 2];

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	add("filename", path);
	add("filename", path + 1); /* a name, the longest there is */
	path[sizeof(path) - 2] = '\0';
	add("filename", path);
	write_into(NULL);
	ck_assert_uint_eq(fate("filename", BL_IOC_LONG_PATH), 1);
	ck_assert_uint_eq(fate("filename", BL_IOC_RULE), 2);
	ck_assert_uint_eq(info.names, 2);
}
END_TEST

START_TEST(names_of_files_and_in_dns_become_rules)
{
	add("domain", "Evil.Example");
	add("hostname", "c2.evil.example.");
	add("hostname|port", "other.example|8443");
	add("domain|ip", "both.example|203.0.113.10");
	add("domain|ip", "only.example|localhost");
	add("filename", "evil.exe");
	add("filename|md5", "dropper|d41d8cd9");
	write_into(NULL);
	ck_assert(has("\"event\":\"dns\",\"domain\":\"evil.example\""));
	ck_assert(has("\"domain\":\"c2.evil.example\""));
	ck_assert(has("\"domain\":\"other.example\""));
	ck_assert(has("\"domain\":\"both.example\""));
	ck_assert(has("\"domain\":\"only.example\""));
	ck_assert(has("\"event\":\"exec\",\"name\":\"evil.exe\""));
	ck_assert(has("\"event\":\"open\",\"name\":\"dropper\""));
	ck_assert_uint_eq(info.domains, 5);
	ck_assert_uint_eq(info.names, 4);
	ck_assert_uint_eq(info.addresses, 1);
	/* Two rules of one indicator are one indicator. */
	ck_assert_uint_eq(fate("domain|ip", BL_IOC_RULE), 2);
	ck_assert_uint_eq(set.count, 7);
	ck_assert_uint_eq(set.widened, 3); /* a port, a hash, an address */
}
END_TEST

START_TEST(a_name_never_denies_and_never_lifts_a_refusal)
{
	set.action = BL_ACTION_DENY;
	add("filename", "evil");
	add("domain", "evil.example");
	write_into(
		"{\"contract\":1,\"rules\":["
		"{\"event\":\"exec\",\"prefix\":\"/tmp/\",\"action\":\"deny\"},"
		"{\"event\":\"open\",\"prefix\":\"/var/\",\"action\":\"ignore\"},"
		"{\"event\":\"dns\",\"domain\":\"example\",\"action\":\"ignore\"}]}");
	ck_assert(has(
		"\"event\":\"open\",\"name\":\"evil\",\"action\":\"emit\""));
	ck_assert(!has("\"event\":\"exec\",\"name\""));
	ck_assert_uint_eq(info.names, 1);
	ck_assert_uint_eq(set.lowered, 1);
	/* The base ignores all of it. */
	ck_assert_uint_eq(fate("domain", BL_IOC_BASE), 1);
}
END_TEST

START_TEST(deny_is_for_what_can_be_denied_as_it_was_said)
{
	set.action = BL_ACTION_DENY;
	add("filename", "/tmp/evil");
	add("filename|md5", "/usr/bin/curl|d41d8cd98f00b204");
	add("filename|sha256", "/usr/bin/curl|" SUM);
	add("ip-dst", "192.0.2.7");
	write_into(NULL);
	ck_assert(has("\"path\":\"/tmp/evil\",\"action\":\"deny\""));
	ck_assert(has("\"sha256\":\"" SUM "\",\"action\":\"deny\""));
	ck_assert(!has("curl"));
	ck_assert_uint_eq(fate("filename|md5", BL_IOC_DENY_WIDER), 1);
	ck_assert(has("\"address\":\"192.0.2.7\",\"action\":\"emit\""));
	ck_assert_uint_eq(set.lowered, 1);
	ck_assert_uint_eq(info.denies, 3);
}
END_TEST

START_TEST(the_same_indicators_in_another_order_give_the_same_bytes)
{
	static const char *const value[] = { "192.0.2.7", "192.0.2.6",
					     "192.0.2.7", "10.0.0.0/8" };
	bl_autobuf struct bl_buf first = { 0 };
	uint32_t source;
	int i;

	bl_iocs_source(&set, "misp-x", &source, &err);
	for (i = 0; i < 4; i++)
		bl_iocs_add(&set, "ip-dst", value[i], source, &err);
	write_into(NULL);
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_TWICE), 1);
	first = text;
	text = (struct bl_buf){ 0 };
	setup();
	bl_iocs_source(&set, "misp-x", &source, &err);
	for (i = 3; i >= 0; i--)
		bl_iocs_add(&set, "ip-dst", value[i], source, &err);
	write_into(NULL);
	ck_assert_str_eq(first.data, text.data);
	ck_assert_uint_eq(info.rules, 3);
}
END_TEST

START_TEST(rules_of_the_base_stay_and_win)
{
	static const char base[] =
		"{ \"contract\": 1,\n  \"rules\": [\n"
		"    { \"id\": \"ours\", \"event\": \"connect\", \"address\": \"10.0.0.0/8\", \"action\": \"ignore\" },\n"
		"    { \"event\": \"connect\", \"address\": \"192.0.2.1\", \"action\": \"emit\" },\n"
		"    { \"event\": \"exec\", \"prefix\": \"/usr/\", \"action\": \"ignore\" }\n"
		"  ],\n  \"default\": { \"exec\": \"emit\" } }\n";
	static const uint8_t inside[4] = { 10, 1, 2, 3 };
	bl_autobuf struct bl_buf bin = { 0 };

	add("ip-dst", "10.1.2.3");	 /* ours are ignored */
	add("ip-dst", "192.0.2.1");	 /* said already */
	add("ip-dst", "192.0.2.2");	 /* new */
	add("filename", "/usr/bin/bad"); /* exec is ignored, open is new */
	write_into(base);
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_BASE), 2);
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_RULE), 1);
	ck_assert_uint_eq(set.rules, 2);
	ck_assert_uint_eq(info.rules, 5);
	ck_assert(has("\"event\":\"open\",\"path\":\"/usr/bin/bad\""));
	ck_assert(!has("\"event\":\"exec\",\"path\":\"/usr/bin/bad\""));
	/* Its text is in front, untouched. */
	ck_assert_int_eq(strncmp(text.data, base,
				 (size_t)(strstr(base, "\n  ],") - base)),
			 0);
	ck_assert_int_eq(bl_content_compile("c", text.data, text.len, &bin,
					    NULL, &err),
			 0);
	ck_assert_int_eq(
		bl_content_match_addr(bin.data, AF_INET, inside).action,
		BL_ACTION_IGNORE);
}
END_TEST

START_TEST(a_network_of_the_base_within_one_of_the_feed_is_no_reason)
{
	add("ip-dst", "198.51.0.0/16");
	write_into("{\"contract\":1,\"rules\":[{\"event\":\"connect\","
		   "\"address\":\"198.51.0.0/24\",\"action\":\"ignore\"}]}");
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_RULE), 1);
	ck_assert_uint_eq(info.rules, 2);
}
END_TEST

START_TEST(an_empty_base_and_one_that_is_no_content)
{
	struct bl_iocs_base bad = { "base.json", "{\"rules\": [}", 12 };

	add("ip-dst", "192.0.2.1");
	ck_assert_int_eq(bl_iocs_write(&set, &bad, &text, &info, &err),
			 -EBADMSG);
	ck_assert_ptr_null(text.data);
	ck_assert(strstr(err.text, "base.json"));
	teardown();
	setup();
	add("ip-dst", "192.0.2.1");
	write_into("{\"contract\":1,\"rules\":[ ]}");
	ck_assert_uint_eq(info.rules, 1);
}
END_TEST

START_TEST(more_lengths_of_masks_than_content_has_lose_the_widest)
{
	char net[64];
	unsigned bits;

	for (bits = 20; bits < 64; bits++) {
		snprintf(net, sizeof(net), "2000::/%u", bits);
		add("ip-dst", net);
	}
	write_into(NULL);
	ck_assert_uint_eq(info.rules, BL_CONTENT_NETS_MAX);
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_MASKS),
			  44 - BL_CONTENT_NETS_MAX);
	ck_assert(has("2000::/63"));
	ck_assert(!has("2000::/20"));
}
END_TEST

START_TEST(thousands_of_types_share_the_last_row)
{
	char type[32];
	unsigned i;

	for (i = 0; i < 3000; i++) {
		snprintf(type, sizeof(type), "t-%u\n", i);
		ck_assert_int_eq(bl_iocs_add(&set, type, "x", 0, &err), 0);
	}
	ck_assert_uint_eq(set.type_count, BL_IOCS_TYPES_MAX);
	ck_assert_uint_eq(fate("(others)", BL_IOC_TYPE),
			  3000 - BL_IOCS_TYPES_MAX + 1);
	ck_assert(!strchr(set.types[0].name, '\n'));
}
END_TEST

START_TEST(only_what_is_for_detection_and_not_deleted_counts)
{
	ck_assert_msg(
		event("{\"type\":\"ip-dst\",\"value\":\"192.0.2.1\",\"to_ids\":true},"
		      "{\"type\":\"ip-dst\",\"value\":\"192.0.2.2\",\"to_ids\":false},"
		      "{\"type\":\"ip-dst\",\"value\":\"192.0.2.3\"},"
		      "{\"type\":\"ip-dst\",\"value\":\"192.0.2.4\",\"to_ids\":true,\"deleted\":true},"
		      "{\"type\":\"ip-dst\",\"value\":\"192.0.2.5\",\"to_ids\":\"1\",\"deleted\":\"0\"}") ==
			0,
		"%s", err.text);
	write_into(NULL);
	ck_assert_uint_eq(info.rules, 2);
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_NOT_TO_DETECT), 2);
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_DELETED), 1);
	ck_assert(has("\"id\":\"misp-5f1a0c2e-1111-4222-8333\""));
}
END_TEST

START_TEST(attributes_of_objects_count_unless_the_object_is_deleted)
{
	ck_assert_int_eq(
		raw("{\"Event\":{\"uuid\":\"" UUID
		    "\",\"timestamp\":1590000000,\"Object\":["
		    "{\"Attribute\":[{\"type\":\"ip-dst\",\"value\":\"192.0.2.1\",\"to_ids\":true}]},"
		    "{\"deleted\":true,\"Attribute\":[{\"type\":\"ip-dst\",\"value\":\"192.0.2.2\",\"to_ids\":true}]}]}}"),
		0);
	write_into(NULL);
	ck_assert(has("192.0.2.1") && !has("192.0.2.2"));
	ck_assert_uint_eq(fate("ip-dst", BL_IOC_DELETED), 1);
}
END_TEST

#define EVENT(uuid, time, rest) \
	"{\"Event\":{\"uuid\":\"" uuid "\",\"timestamp\":\"" time "\"" rest "}}"

static const struct {
	const char *json, *why;
} bad_events[] = {
	{ EVENT(UUID, "1589999999", ""), "older than the manifest says" },
	{ EVENT(UUID, "1590000001", ""), "newer than the manifest says" },
	{ EVENT("5f1a0c2e-1111-4222-8333-0123456789ac", "1590000000", ""),
	  "it is another event" },
	{ EVENT(UUID, "-1", ""), "seconds since 1970" },
	{ EVENT(UUID, "1590000000", ",\"uuid\":\"x\""), "duplicate" },
	{ EVENT(UUID, "1590000000", ",\"Attribute\":{}"), "no list" },
	{ EVENT(UUID, "1590000000", ",\"Attribute\":[1]"), "Attribute[0]" },
	{ EVENT(UUID, "1590000000",
		",\"Attribute\":[{\"type\":\"ip-dst\",\"value\":1}]"),
	  "both strings" },
	{ EVENT(UUID, "1590000000",
		",\"Attribute\":[{\"type\":\"a\",\"value\":\"b\",\"to_ids\":\"yes\"}]"),
	  "neither true nor false" },
	{ EVENT(UUID, "1590000000",
		",\"Attribute\":[{\"type\":\"a\",\"value\":\"b\\u0000c\"}]"),
	  "e.json:1" },
	{ EVENT(UUID, "1590000000", ",\"Object\":[1]"), "Object[0]" },
	{ "{\"Event\":[]}", "no object Event" },
	{ "[]", "no object Event" },
	{ "", "e.json" },
};

START_TEST(an_event_that_is_not_the_one_meant_is_refused)
{
	ck_assert_int_eq(raw(bad_events[_i].json), -EBADMSG);
	ck_assert_msg(strstr(err.text, bad_events[_i].why), "%s", err.text);
}
END_TEST

START_TEST(ten_thousand_levels_are_refused)
{
	static char deep[20001];

	memset(deep, '[', 10000);
	memset(deep + 10000, ']', 10000);
	ck_assert_int_eq(raw(deep), -EBADMSG);
	ck_assert(strstr(err.text, "nested deeper"));
}
END_TEST

START_TEST(a_manifest_lists_its_events_newest_first)
{
	bl_automisp struct bl_misp_manifest m = { 0 };

	ck_assert_msg(
		manifest(
			"{\"00000000-0000-0000-0000-000000000002\":{\"timestamp\":\"5\",\"info\":\"x\"},"
			"\"00000000-0000-0000-0000-000000000001\":{\"timestamp\":5},"
			"\"" UUID "\":{\"timestamp\":\"1590000000\"}}",
			&m) == 0,
		"%s", err.text);
	ck_assert_uint_eq(m.count, 3);
	ck_assert_str_eq(m.events[0].uuid, UUID);
	ck_assert_int_eq(m.events[1].uuid[35], '1');
	ck_assert_int_eq(m.events[2].timestamp, 5);
}
END_TEST

static const char *const bad_manifests[] = {
	"{\"../../../../etc/passwd\":{\"timestamp\":\"1\"}}",
	"{\"5f1a0c2e-1111-4222-8333-0123456789a/\":{\"timestamp\":\"1\"}}",
	"{\"5F1A0C2E-1111-4222-8333-0123456789AB\":{\"timestamp\":\"1\"}}",
	"{\"\":{\"timestamp\":\"1\"}}",
	"{\"" UUID "\":{}}",
	"{\"" UUID "\":{\"timestamp\":\"99999999999999999999\"}}",
	"{\"" UUID "\":{\"timestamp\":-1}}",
	"{\"" UUID "\":{\"timestamp\":1},\"" UUID "\":{\"timestamp\":2}}",
	"[]",
	"{",
};

START_TEST(a_manifest_that_is_none_is_refused)
{
	struct bl_misp_manifest m = { 0 };

	ck_assert_int_eq(manifest(bad_manifests[_i], &m), -EBADMSG);
	ck_assert(err.text[0]);
	ck_assert_ptr_null(m.events);
}
END_TEST

START_TEST(a_manifest_of_another_digest_is_not_looked_at)
{
	static const char zeros[BL_DIGEST_HEX] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	struct bl_misp_manifest m = { 0 };

	ck_assert_int_eq(bl_misp_manifest_read("manifest.json", "{", 1, zeros,
					       &m, &err),
			 -EBADMSG);
	ck_assert(strstr(err.text, "its SHA-256 is"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("misp");
	TCase *t = tcase_create("indicators");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_the_sensor_sees_becomes_rules);
	tcase_add_test(t, a_sha256_becomes_a_rule_for_what_is_executed);
	tcase_add_test(t, the_base_wins_over_the_same_sha256_alone);
	tcase_add_loop_test(t, the_rest_is_left_out_and_counted_with_its_reason,
			    0, BL_ARRAY_SIZE(left_out));
	tcase_add_test(t, a_path_longer_than_the_sensor_compares_is_left_out);
	tcase_add_test(t, names_of_files_and_in_dns_become_rules);
	tcase_add_test(t, a_name_never_denies_and_never_lifts_a_refusal);
	tcase_add_test(t, deny_is_for_what_can_be_denied_as_it_was_said);
	tcase_add_test(
		t, the_same_indicators_in_another_order_give_the_same_bytes);
	tcase_add_test(t, rules_of_the_base_stay_and_win);
	tcase_add_test(
		t, a_network_of_the_base_within_one_of_the_feed_is_no_reason);
	tcase_add_test(t, an_empty_base_and_one_that_is_no_content);
	tcase_add_test(t,
		       more_lengths_of_masks_than_content_has_lose_the_widest);
	tcase_add_test(t, thousands_of_types_share_the_last_row);

	t = tcase_create("feeds");
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, only_what_is_for_detection_and_not_deleted_counts);
	tcase_add_test(
		t, attributes_of_objects_count_unless_the_object_is_deleted);
	tcase_add_loop_test(t, an_event_that_is_not_the_one_meant_is_refused, 0,
			    BL_ARRAY_SIZE(bad_events));
	tcase_add_test(t, ten_thousand_levels_are_refused);
	tcase_add_test(t, a_manifest_lists_its_events_newest_first);
	tcase_add_loop_test(t, a_manifest_that_is_none_is_refused, 0,
			    BL_ARRAY_SIZE(bad_manifests));
	tcase_add_test(t, a_manifest_of_another_digest_is_not_looked_at);
	return s;
}
