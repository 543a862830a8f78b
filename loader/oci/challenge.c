/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/challenge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"

static const char token_bytes[] = "!#$%&'*+-.^_`|~"
				  "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* A quoted string or a token (RFC 7230, section 3.2.6), printable; NULL: none. */
static const char *read_value(const char *p,
			      char ret[static BL_CHALLENGE_VALUE])
{
	bool quoted = *p == '"';
	size_t n = 0;

	for (p += quoted; *p; p++) {
		if (quoted ? *p == '"' : !strchr(token_bytes, *p))
			break;
		if (quoted && *p == '\\' && !*++p)
			return NULL;
		if (*p < ' ' || *p > '~' || n == BL_CHALLENGE_VALUE - 1)
			return NULL;
		ret[n++] = *p;
	}
	if (quoted ? *p != '"' : !n)
		return NULL;
	ret[n] = '\0';
	return p + quoted;
}

/* Takes one "name=value" that is known; each may stand there once. */
static const char *read_pair(const char *p, struct bl_challenge *c)
{
	const struct {
		const char *name;
		char *value;
	} known[] = {
		{ "realm", c->realm },
		{ "service", c->service },
		{ "scope", c->scope },
	};
	char value[BL_CHALLENGE_VALUE];
	const char *name = p;
	size_t len = strspn(p, token_bytes);

	p = skip_blanks(p + len);
	if (!len || *p != '=')
		return NULL;
	p = read_value(skip_blanks(p + 1), value);
	for (size_t i = 0; p && i < BL_ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != len ||
		    strncasecmp(known[i].name, name, len) != 0)
			continue;
		if (*known[i].value)
			return NULL;
		memcpy(known[i].value, value, sizeof(value));
	}
	return p;
}

int bl_challenge_read(const char *header, struct bl_challenge *ret)
{
	struct bl_challenge c = { .kind = BL_CHALLENGE_BASIC };
	const char *p = header;

	if (strlen(header) > BL_CHALLENGE_MAX)
		return -EINVAL;
	if (strncasecmp(p, "Bearer ", 7) == 0)
		c.kind = BL_CHALLENGE_BEARER;
	else if (strncasecmp(p, "Basic", 5) != 0 || (p[5] && p[5] != ' '))
		return -EINVAL;
	p = skip_blanks(p + (c.kind == BL_CHALLENGE_BEARER ? 7 : 5));
	while (*p) {
		p = read_pair(p, &c);
		if (!p)
			return -EINVAL;
		p = skip_blanks(p);
		if (*p && *p++ != ',')
			return -EINVAL;
		p = skip_blanks(p);
	}
	if (c.kind == BL_CHALLENGE_BEARER && !*c.realm)
		return -EINVAL;
	*ret = c;
	return 0;
}

/* "name=" and the value as RFC 3986 has it in a query. */
static int add_query(struct bl_buf *url, const char *name, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~:/";
	char mark = memchr(url->data, '?', url->len) ? '&' : '?';
	int r = bl_buf_printf(url, "%c%s=", mark, name);

	for (; !r && *value; value++)
		r = strchr(plain, *value)
			    ? bl_buf_add(url, value, 1)
			    : bl_buf_printf(url, "%%%02X",
					    (unsigned char)*value);
	return r;
}

int bl_challenge_url(const struct bl_challenge *c, const char *name,
		     struct bl_buf *ret)
{
	char scope[BL_CHALLENGE_VALUE];
	int r = bl_buf_add(ret, c->realm, strlen(c->realm));

	snprintf(scope, sizeof(scope), "repository:%s:pull", name);
	if (!r && *c->service)
		r = add_query(ret, "service", c->service);
	if (!r)
		r = add_query(ret, "scope", *c->scope ? c->scope : scope);
	return r;
}

int bl_challenge_token(const char *name, const char *text, size_t len,
		       struct bl_buf *ret, struct bl_err *err)
{
	struct parts {
		const char *token, *access;
	};
	/* The second is what OAuth 2.0 calls it; either may be there. */
	static const struct bl_json_field fields[] = {
		{ "token", BL_JSON_STRING, false, offsetof(struct parts, token),
		  0, BL_BEARER_MAX },
		{ "access_token", BL_JSON_STRING, false,
		  offsetof(struct parts, access), 0, BL_BEARER_MAX },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct parts v = { "", "" };
	const char *token;
	int r = bl_json_parse(name, text, len, &doc, err);

	if (!r)
		r = bl_json_read_known(&doc, doc.root, "", fields,
				       BL_ARRAY_SIZE(fields), &v, err);
	if (r < 0)
		return r;
	token = *v.token ? v.token : v.access;
	if (!*token)
		return bl_json_fail(&doc, "", err, "there is no token in it");
	/* It becomes a header: what RFC 6750 calls b64token, and no more. */
	for (const char *p = token; *p; p++)
		if (*p <= ' ' || *p > '~')
			return bl_json_fail(&doc,
					    *v.token ? "token" : "access_token",
					    err, "bytes that no token has");
	if (bl_buf_add(ret, token, strlen(token)) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}
