/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content as JSON: what compiles is strict JSON, whichever way its rules are
 * read, and a binary that hosts accept, the same each time. Anything else is taken for a binary too: what hosts accept can be
 * matched against any path and address.
 */
#include <string.h>
#include <sys/socket.h>

#include "bpf/dns.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/bundle/content_text.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_rule(const void *bin, struct bl_match m)
{
	const char *name = bl_content_rule_name(bin, m.rule);

	FUZZ_CHECK(name && strlen(name) < BL_CONTENT_NAME_MAX);
	FUZZ_CHECK(strcmp(bl_action_name(m.action), "?") != 0);
}

/* Matches pieces of the input as paths and as addresses. */
static void match(const void *bin, const uint8_t *data, size_t size)
{
	uint8_t addr[16] = { 0 };
	size_t len = size < 200 ? size : 200;
	__u64 sum[BL_CONTENT_SUM_WORDS] = { 0 };
	struct bl_match m = { BL_RULE_NONE, BL_ACTION_IGNORE };

	memcpy(addr, data, size < sizeof(addr) ? size : sizeof(addr));
	memcpy(sum, data, size < sizeof(sum) ? size : sizeof(sum));
	bl_content_match_sum(bin, sum, &m);
	check_rule(bin, m);
	check_rule(bin, bl_content_match_path(bin, BL_EVENT_EXEC,
					      (const char *)data, len));
	check_rule(bin, bl_content_match_path(bin, BL_EVENT_OPEN,
					      (const char *)data, len));
	check_rule(bin, bl_content_match_domain(bin, (const char *)data, len));
	check_rule(bin, bl_content_match_addr(bin, AF_INET, addr));
	check_rule(bin, bl_content_match_addr(bin, AF_INET6, addr));
}

/* As a datagram: what is a question has a name that may be looked up. */
static void ask(const uint8_t *data, size_t size)
{
	uint8_t msg[BL_DNS_MESSAGE_MAX] = { 0 };
	char name[BL_EVENT_PATH_MAX];
	struct bl_dns_walk walk = { 0 };
	size_t i, len = size < sizeof(msg) ? size : sizeof(msg);

	memcpy(msg, data, len);
	if (!bl_dns_name(msg, (uint32_t)len, name, &walk))
		return;
	fuzz_accepted++;
	FUZZ_CHECK(walk.len > 0 && walk.len < BL_DNS_NAME_MAX);
	for (i = 0; i < walk.len; i++)
		FUZZ_CHECK(name[i] > ' ' && name[i] < 0x7f);
}

static void check_same(const char *x, const char *y)
{
	FUZZ_CHECK(!x == !y && (!x || !strcmp(x, y)));
}

/* Rule by rule, in belay's way and in jansson's. */
static void both_ways(const char *text, size_t size)
{
	bl_autocontent_text struct bl_content_text a = { 0 }, b = { 0 };
	struct bl_content_rule x = { 0 }, y = { 0 };
	struct bl_err err = { 0 };
	int r, s;

	r = bl_content_text_open("in", text, size, &a, &err);
	FUZZ_CHECK_ERR(r, &err);
	s = bl_content_text_open("in", text, size, &b, NULL);
	FUZZ_CHECK(r == s);
	b.plain_off = true;
	while (!r) {
		r = bl_content_text_next(&a, &x, &err);
		s = bl_content_text_next(&b, &y, NULL);
		FUZZ_CHECK(r == s);
		if (r <= 0)
			break;
		check_same(x.id, y.id);
		check_same(x.event, y.event);
		check_same(x.path, y.path);
		check_same(x.prefix, y.prefix);
		check_same(x.name, y.name);
		check_same(x.address, y.address);
		check_same(x.domain, y.domain);
		check_same(x.sha256, y.sha256);
		check_same(x.action, y.action);
		FUZZ_CHECK(x.offset == y.offset && x.offset < size);
		FUZZ_CHECK(x.number + 1 == a.count);
		r = 0;
	}
}

/* What compiles is JSON as a whole, with as many rules. */
static void check_strict(const char *text, size_t size, unsigned rules)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };

	FUZZ_CHECK(bl_json_parse("in", text, size, &doc, NULL) == 0);
	FUZZ_CHECK(json_array_size(json_object_get(doc.root, "rules")) ==
		   rules);
}

static void as_json(const uint8_t *data, size_t size)
{
	bl_autobuf struct bl_buf bin = { 0 };
	bl_autobuf struct bl_buf again = { 0 };
	struct bl_content_info info = { 0 }, info2 = { 0 };
	struct bl_err err = { 0 };
	int r = bl_content_compile("in", (const char *)data, size, &bin, &info,
				   &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(!bin.len);
		return;
	}
	fuzz_accepted++;
	check_strict((const char *)data, size, info.rules);
	FUZZ_CHECK(bl_content_compile("in", (const char *)data, size, &again,
				      NULL, NULL) == 0);
	FUZZ_CHECK(bin.len == again.len &&
		   !memcmp(bin.data, again.data, bin.len));
	r = bl_content_check_binary("in", bin.data, bin.len, &info2, &err);
	FUZZ_CHECK(r == 0);
	FUZZ_CHECK(info.rules == info2.rules && info.denies == info2.denies &&
		   info.buckets == info2.buckets);
	match(bin.data, data, size);
}

static void as_binary(const uint8_t *data, size_t size)
{
	bl_autofree uint8_t *aligned = malloc(size ? size : 1);
	struct bl_err err = { 0 };
	int r;

	FUZZ_CHECK(aligned);
	memcpy(aligned, data, size);
	r = bl_content_check_binary("in", aligned, size, NULL, &err);
	FUZZ_CHECK_ERR(r, &err);
	if (!r)
		match(aligned, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_json(data, size);
	both_ways((const char *)data, size);
	as_binary(data, size);
	ask(data, size);
	return 0;
}
