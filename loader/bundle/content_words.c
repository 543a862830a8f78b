/* SPDX-License-Identifier: Apache-2.0 */
/* The words of content: names of kinds and actions, and what may stand in a rule
 * so that it can match at all. */
#include <stdio.h>
#include <string.h>

#include "loader/bundle/content.h"

static const char *const kind_names[BL_EVENT_KINDS] = { "exec", "open",
							"connect", "dns" };
static const char *const action_names[BL_ACTIONS] = { "ignore", "emit",
						      "deny" };

const char *bl_event_kind_name(unsigned kind)
{
	return kind < BL_EVENT_KINDS ? kind_names[kind] : "?";
}

const char *bl_action_name(unsigned action)
{
	return action < BL_ACTIONS ? action_names[action] : "?";
}

/* Paths that the kernel would never give: a rule for one matches nothing, and
 * its author believes otherwise. */
const char *bl_content_path_mistake(const char *path, size_t len, bool prefix)
{
	if (path[0] != '/')
		return "a path begins with '/'";
	if (strstr(path, "//"))
		return "'//' never occurs in a path as the kernel knows it";
	if (strstr(path, "/./") || strstr(path, "/../") ||
	    (len >= 2 && !strcmp(path + len - 2, "/.")) ||
	    (len >= 3 && !strcmp(path + len - 3, "/..")))
		return "'.' and '..' never occur in a path as the kernel knows it";
	if (prefix && path[len - 1] != '/')
		return "a prefix ends with '/'; for one file use \"path\"";
	if (!prefix && len > 1 && path[len - 1] == '/')
		return "a path does not end with '/'; for all below it use \"prefix\"";
	return NULL;
}

/* The same for the last component of one. */
const char *bl_content_name_mistake(const char *name, size_t len)
{
	if (memchr(name, '/', len))
		return "a name has no '/'; for one file use \"path\"";
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return "'.' and '..' never occur in a path as the kernel knows it";
	return NULL;
}

/* A name in DNS as the sensor has it. */
const char *bl_content_domain_mistake(const char *name, size_t len)
{
	size_t label;
	const char *p;

	if (len > BL_CONTENT_PATH_MAX - 2)
		return "a name in DNS has at most 253 characters";
	for (p = name;; p += label + 1) {
		label = strcspn(p, ".");
		if (!label)
			return "a label is missing: no dot in front, behind or beside another";
		if (label > 63)
			return "a label has at most 63 characters";
		if (!p[label])
			break;
	}
	for (p = name; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			return "write it in small letters: DNS knows no others";
		if (*p <= ' ' || *p >= 0x7f || strchr("/:*?@[]", *p))
			return "no name of a host has this in it; of another script, write what is sent (xn--…)";
	}
	return NULL;
}

/* As sha256sum prints it: one way to write it, so that two rules for it are
 * found to be one. */
const char *bl_content_sum_read(const char *text,
				__u64 ret[static BL_CONTENT_SUM_WORDS])
{
	uint8_t bytes[BL_CONTENT_SUM_WORDS * sizeof(*ret)];
	size_t len = strspn(text, "0123456789abcdef"), i;
	unsigned byte;

	if (text[len] >= 'A' && text[len] <= 'F')
		return "write it in small letters";
	if (text[len] || len != 2 * sizeof(bytes))
		return "a SHA-256 has 64 hex digits";
	for (i = 0; i < sizeof(bytes); i++) {
		sscanf(text + 2 * i, "%2x", &byte);
		bytes[i] = (uint8_t)byte;
	}
	memcpy(ret, bytes, sizeof(bytes));
	return NULL;
}
