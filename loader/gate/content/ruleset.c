/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The interpreter itself, and not its user-space calls: it is asked here under
 * headers that leave some masks out. */
#define BL_CONTENT_AT(src, index) (bl_content_buckets(src) + (index))
struct bl_content_bucket;
const struct bl_content_bucket *bl_content_buckets(const void *bin);
#include "bpf/content.h"
#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/bundle/content_text.h"
#include "loader/gate/content/ruleset.h"

#define SOURCE_MAX 200 /* bytes of a line that are quoted */

void bl_ruleset_close(struct bl_ruleset *rs)
{
	free(rs->rules);
	free(rs->strings);
	*rs = (struct bl_ruleset){ 0 };
}

/* The compiler took it, so it is an address with as many bits as it says. */
static void read_address(struct bl_ruleset_rule *r)
{
	char text[INET6_ADDRSTRLEN] = "";
	const char *slash = strchrnul(r->address, '/');

	snprintf(text, sizeof(text), "%.*s", (int)(slash - r->address),
		 r->address);
	r->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	r->bits = r->family == AF_INET6 ? 128 : 32;
	if (*slash)
		r->bits = (unsigned)strtoul(slash + 1, NULL, 10);
	inet_pton(r->family, text, r->addr);
}

/* Copies @text, if there is any, to the end of the strings. */
static const char *keep(char **end, const char *text)
{
	char *copy = *end;

	if (!text)
		return NULL;
	*end += strlen(text) + 1;
	return memcpy(copy, text, (size_t)(*end - copy));
}

static void read_rule(const struct bl_content_rule *said, char **strings,
		      struct bl_ruleset_rule *r)
{
	unsigned i;

	r->id = keep(strings, said->id);
	r->path = keep(strings, said->path);
	r->prefix = keep(strings, said->prefix);
	r->name = keep(strings, said->name);
	r->address = keep(strings, said->address);
	r->domain = keep(strings, said->domain);
	r->sha256 = keep(strings, said->sha256);
	r->offset = said->offset;
	for (i = 0; i < BL_EVENT_KINDS; i++)
		if (!strcmp(said->event, bl_event_kind_name(i)))
			r->kind = i;
	for (i = 0; i < BL_ACTIONS; i++)
		if (!strcmp(said->action, bl_action_name(i)))
			r->action = i;
	if (r->address)
		read_address(r);
}

static int read_rules(struct bl_ruleset *rs, struct bl_err *err)
{
	bl_autocontent_text struct bl_content_text text = { 0 };
	struct bl_content_rule said;
	char *end;
	uint32_t i;
	int r;

	rs->count = bl_content_header(rs->bin)->rule_count;
	rs->rules = calloc((size_t)rs->count + 1, sizeof(*rs->rules));
	/* Strings are shorter than the JSON that they are written in. */
	rs->strings = end = malloc(rs->json_len + 1);
	if (!rs->rules || !end)
		return bl_err_errno(err, -ENOMEM, "%s", rs->name);
	r = bl_content_text_open(rs->name, rs->json, rs->json_len, &text, err);
	for (i = 0; !r && i < rs->count; i++) {
		r = bl_content_text_next(&text, &said, err);
		if (r <= 0)
			return r ? r : -EBADMSG;
		read_rule(&said, &end, &rs->rules[i]);
		r = 0;
	}
	return r;
}

int bl_ruleset_open(const char *name, const char *json, size_t json_len,
		    const void *bin, size_t bin_len, struct bl_ruleset *ret,
		    struct bl_err *err)
{
	bl_autoruleset struct bl_ruleset rs = {
		.name = name, .json = json, .json_len = json_len, .bin = bin
	};
	bl_autobuf struct bl_buf own = { 0 };
	int r;

	r = bl_content_check_binary(name, bin, bin_len, NULL, err);
	if (!r)
		r = bl_content_compile(name, json, json_len, &own, NULL, err);
	if (r)
		return r;
	if (own.len != bin_len || memcmp(own.data, bin, bin_len) != 0)
		return bl_err_set(
			err, -EBADMSG,
			"%s: the binary form is not what the JSON compiles to",
			name);
	r = read_rules(&rs, err);
	if (r)
		return r;
	*ret = rs;
	rs = (struct bl_ruleset){ 0 };
	return 0;
}

/* --- what the interpreter says -------------------------------------------- */

/* @path and whatever lies below it. What follows is no UTF-8, so that no exact
 * rule can mean it. */
static struct bl_match below(const struct bl_ruleset *rs,
			     enum bl_event_kind kind, const char *path,
			     size_t len)
{
	char text[BL_EVENT_PATH_MAX + 1];

	memcpy(text, path, len);
	text[len++] = '\xff';
	return bl_content_match_path(rs->bin, kind, text, len);
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* Only masks of at most @bits count. */
static struct bl_match address(const struct bl_ruleset *rs,
			       const struct bl_ruleset_rule *r, int bits)
{
	struct bl_content_hdr hdr = *bl_content_header(rs->bin);
	int v6 = r->family == AF_INET6;
	uint8_t *len = hdr.net_len[v6];
	unsigned skip = 0;

	while (skip < hdr.net_count[v6] && len[skip] > bits)
		skip++;
	memmove(len, len + skip, BL_CONTENT_NETS_MAX - skip);
	hdr.net_count[v6] = (uint8_t)(hdr.net_count[v6] - skip);
	return bl_content_addr(rs->bin, &hdr, v6, load_be64(r->addr),
			       load_be64(r->addr + 8));
}

/* In a folder that no rule can mean, since it is no UTF-8. */
static struct bl_match named(const struct bl_ruleset *rs,
			     const struct bl_ruleset_rule *r)
{
	char text[2 * BL_EVENT_PATH_MAX];
	int len = snprintf(text, sizeof(text), "/\xff/%s", r->name);

	return bl_content_match_path(rs->bin, r->kind, text, (size_t)len);
}

static struct bl_match summed(const struct bl_ruleset *rs,
			      const struct bl_ruleset_rule *r)
{
	struct bl_match m =
		bl_content_default(bl_content_header(rs->bin), r->kind);
	__u64 sum[BL_CONTENT_SUM_WORDS];

	if (!bl_content_sum_read(r->sha256, sum))
		bl_content_match_sum(rs->bin, sum, &m);
	return m;
}

struct bl_match bl_ruleset_own(const struct bl_ruleset *rs, uint32_t rule)
{
	const struct bl_ruleset_rule *r = &rs->rules[rule];

	if (r->address)
		return address(rs, r, (int)r->bits);
	if (r->domain)
		return bl_content_match_domain(rs->bin, r->domain,
					       strlen(r->domain));
	if (r->name)
		return named(rs, r);
	if (r->sha256)
		return summed(rs, r);
	if (r->path)
		return bl_content_match_path(rs->bin, r->kind, r->path,
					     strlen(r->path));
	return below(rs, r->kind, r->prefix, strlen(r->prefix));
}

struct bl_match bl_ruleset_parent(const struct bl_ruleset *rs, uint32_t rule)
{
	const struct bl_ruleset_rule *r = &rs->rules[rule];
	const char *text = r->path ? r->path : r->prefix, *dot;
	size_t len;

	if (r->address)
		return address(rs, r, (int)r->bits - 1);
	if (r->name || r->sha256)
		return bl_content_default(bl_content_header(rs->bin), r->kind);
	if (r->domain) {
		/* No domain is empty: behind the last label is the default. */
		dot = strchrnul(r->domain, '.');
		dot += *dot == '.';
		return bl_content_match_domain(rs->bin, dot, strlen(dot));
	}
	len = strlen(text);
	/* Up to the last '/' before its end: the folder that it lies in. */
	if (r->prefix)
		len--;
	while (len && text[len - 1] != '/')
		len--;
	return below(rs, r->kind, text, len);
}

/* --- words ---------------------------------------------------------------- */

const char *bl_ruleset_text(const struct bl_ruleset *rs, uint32_t rule)
{
	const struct bl_ruleset_rule *r = &rs->rules[rule];

	const char *of[] = { r->path,	 r->prefix, r->name,
			     r->address, r->domain, r->sha256 };
	size_t i = 0;

	while (!of[i])
		i++;
	return of[i];
}

void bl_ruleset_name(const struct bl_ruleset *rs, uint32_t rule,
		     enum bl_event_kind kind, char ret[static 80])
{
	if (rule == BL_RULE_NONE)
		snprintf(ret, BL_RULESET_NAME_MAX, "the default of %s",
			 bl_event_kind_name(kind));
	else if (rs->rules[rule].id)
		snprintf(ret, BL_RULESET_NAME_MAX, "rule \"%s\" (rules[%u])",
			 rs->rules[rule].id, rule);
	else
		snprintf(ret, BL_RULESET_NAME_MAX, "rules[%u]", rule);
}

/* Where in the JSON a finding belongs. */
static size_t place_of(const struct bl_ruleset *rs, uint32_t rule,
		       enum bl_event_kind kind)
{
	/* Defaults stand beside the list of rules, which is passed over. */
	struct bl_json_doc doc = { .text = (char *)rs->json,
				   .len = rs->json_len };
	const char *p = rs->json, *end = p + rs->json_len;
	char where[32];
	unsigned line;

	if (rule != BL_RULE_NONE)
		return rs->rules[rule].offset;
	snprintf(where, sizeof(where), "default.%s", bl_event_kind_name(kind));
	line = bl_json_line(&doc, where);
	if (!line)
		return rs->json_len;
	while (--line && (p = memchr(p, '\n', (size_t)(end - p))))
		p++;
	return (size_t)(p - rs->json);
}

/* 1 and up; @ret_text is the line, without the blanks around it. */
static unsigned line_at(const struct bl_ruleset *rs, size_t offset,
			char ret_text[static SOURCE_MAX + 1])
{
	const char *end = rs->json + rs->json_len, *at = rs->json + offset;
	const char *p = rs->json, *nl, *stop;
	unsigned line = 1;

	while ((nl = memchr(p, '\n', (size_t)(at - p)))) {
		p = nl + 1;
		line++;
	}
	stop = memchr(p, '\n', (size_t)(end - p));
	if (!stop)
		stop = end;
	while (p < stop && (*p == ' ' || *p == '\t'))
		p++;
	while (stop > p && (stop[-1] == ' ' || stop[-1] == '\r'))
		stop--;
	snprintf(ret_text, SOURCE_MAX + 1, "%.*s",
		 (int)(stop - p > SOURCE_MAX ? SOURCE_MAX : stop - p), p);
	return line;
}

/* Names and paths come from a stranger: one sentence stays one line. */
static void one_line(char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ')
			*text = '?';
}

int bl_ruleset_report(const struct bl_ruleset *rs, struct bl_report *report,
		      enum bl_verdict verdict, const char *check, uint32_t rule,
		      enum bl_event_kind kind, const char *hint,
		      const char *fmt, ...)
{
	struct bl_finding f = { .verdict = verdict };
	bl_autofree char *message = NULL;
	bl_autofree char *advice = NULL;
	char source[SOURCE_MAX + 1] = "";
	size_t offset;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (n < 0) {
		message = NULL;
		return -ENOMEM;
	}
	advice = strdup(hint ? hint : "");
	if (!advice)
		return -ENOMEM;
	one_line(message);
	one_line(advice);
	offset = place_of(rs, rule, kind);
	if (offset < rs->json_len)
		f.line = line_at(rs, offset, source);
	f.check = (char *)check;
	f.message = message;
	f.hint = advice;
	f.file = (char *)rs->name;
	f.source = source;
	return bl_report_add(report, &f);
}
