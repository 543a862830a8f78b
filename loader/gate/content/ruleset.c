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
#define BL_CONTENT_SLOT(src, index) (bl_content_slots(src) + (index))
struct bl_content_slot;
const struct bl_content_slot *bl_content_slots(const void *bin);
#include "bpf/content.h"
#include "loader/base/cleanup.h"
#include "loader/gate/content/ruleset.h"

#define SOURCE_MAX 200 /* bytes of a line that are quoted */

void bl_ruleset_close(struct bl_ruleset *rs)
{
	free(rs->rules);
	bl_json_doc_free(&rs->doc);
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

static void read_rule(const json_t *obj, struct bl_ruleset_rule *r)
{
	const char *event = json_string_value(json_object_get(obj, "event"));
	const char *act = json_string_value(json_object_get(obj, "action"));
	unsigned i;

	r->id = json_string_value(json_object_get(obj, "id"));
	r->path = json_string_value(json_object_get(obj, "path"));
	r->prefix = json_string_value(json_object_get(obj, "prefix"));
	r->address = json_string_value(json_object_get(obj, "address"));
	for (i = 0; i < BL_EVENT_KINDS; i++)
		if (event && !strcmp(event, bl_event_kind_name(i)))
			r->kind = i;
	for (i = 0; i < BL_ACTIONS; i++)
		if (act && !strcmp(act, bl_action_name(i)))
			r->action = i;
	if (r->address)
		read_address(r);
}

static int read_rules(struct bl_ruleset *rs, struct bl_err *err)
{
	const json_t *list = json_object_get(rs->doc.root, "rules"), *obj;
	size_t i;

	rs->count = (uint32_t)json_array_size(list);
	rs->rules = calloc((size_t)rs->count + 1, sizeof(*rs->rules));
	if (!rs->rules)
		return bl_err_errno(err, -ENOMEM, "%s", rs->doc.name);
	json_array_foreach (list, i, obj)
		read_rule(obj, &rs->rules[i]);
	return 0;
}

int bl_ruleset_open(const char *name, const char *json, size_t json_len,
		    const void *bin, size_t bin_len, struct bl_ruleset *ret,
		    struct bl_err *err)
{
	bl_autoruleset struct bl_ruleset rs = { .bin = bin };
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
	r = bl_json_parse(name, json, json_len, &rs.doc, err);
	if (!r)
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

struct bl_match bl_ruleset_own(const struct bl_ruleset *rs, uint32_t rule)
{
	const struct bl_ruleset_rule *r = &rs->rules[rule];

	if (r->address)
		return address(rs, r, (int)r->bits);
	if (r->path)
		return bl_content_match_path(rs->bin, r->kind, r->path,
					     strlen(r->path));
	return below(rs, r->kind, r->prefix, strlen(r->prefix));
}

struct bl_match bl_ruleset_parent(const struct bl_ruleset *rs, uint32_t rule)
{
	const struct bl_ruleset_rule *r = &rs->rules[rule];
	const char *text = r->path ? r->path : r->prefix;
	size_t len;

	if (r->address)
		return address(rs, r, (int)r->bits - 1);
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

	return r->address ? r->address : r->path ? r->path : r->prefix;
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

/* The text of a line, without the blanks around it. */
static void quote_line(const struct bl_json_doc *doc, unsigned line,
		       char ret[static SOURCE_MAX + 1])
{
	const char *p = doc->text, *end = doc->text + doc->len, *stop;

	while (line > 1 && p < end) {
		line -= *p == '\n';
		p++;
	}
	stop = memchr(p, '\n', (size_t)(end - p));
	if (!stop)
		stop = end;
	while (p < stop && (*p == ' ' || *p == '\t'))
		p++;
	while (stop > p && (stop[-1] == ' ' || stop[-1] == '\r'))
		stop--;
	snprintf(ret, SOURCE_MAX + 1, "%.*s", (int)(stop - p), p);
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
	char where[32], source[SOURCE_MAX + 1] = "";
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
	if (rule == BL_RULE_NONE)
		snprintf(where, sizeof(where), "default.%s",
			 bl_event_kind_name(kind));
	else
		snprintf(where, sizeof(where), "rules[%u]", rule);
	f.line = bl_json_line(&rs->doc, where);
	if (f.line)
		quote_line(&rs->doc, f.line, source);
	f.check = (char *)check;
	f.message = message;
	f.hint = advice;
	f.file = rs->doc.name;
	f.source = source;
	return bl_report_add(report, &f);
}
