/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/import/iocs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/import/item.h"

static const struct {
	const char *name, *why;
} fates[BL_IOC_FATES] = {
	[BL_IOC_RULE] = { "rule", "became a rule" },
	[BL_IOC_NOT_TO_DETECT] = { "not-to-detect",
				   "the feed does not mean it for detection (to_ids)" },
	[BL_IOC_DELETED] = { "deleted", "the feed has deleted it" },
	[BL_IOC_HASH] = { "hash", "of hashes the sensor knows SHA-256 alone" },
	[BL_IOC_NO_SUM] = { "no-sha256",
			    "no SHA-256 of a file, or that of an empty one" },
	[BL_IOC_URL] = { "url",
			 "the sensor sees no URLs, and a host of one serves much else" },
	[BL_IOC_TYPE] = { "type", "nothing that the sensor sees" },
	[BL_IOC_DENY_WIDER] = { "deny-wider",
				"its hash is not looked at, and deny would hit every file of that path" },
	[BL_IOC_COMMON_NAME] = { "common-name",
				 "a file of this name is on every host" },
	[BL_IOC_NO_DOMAIN] = { "no-domain",
			       "no name in DNS with at least two labels" },
	[BL_IOC_NO_PATH] = { "no-path", "no path that Linux would report" },
	[BL_IOC_LONG_PATH] = { "long-path",
			       "longer than what the sensor compares" },
	[BL_IOC_NO_ADDRESS] = { "no-address",
				"no IPv4 or IPv6 address or network, or no port" },
	[BL_IOC_WIDE] = { "wide", "a network wider than /8 (IPv6: /16)" },
	[BL_IOC_MASKS] = { "masks",
			   "more lengths of IPv6 masks than content has" },
	[BL_IOC_TWICE] = { "twice", "another indicator says the same" },
	[BL_IOC_BASE] = { "base", "the base has a rule of its own for it" },
};

const char *bl_ioc_fate_name(enum bl_ioc_fate fate)
{
	return fates[fate].name;
}

const char *bl_ioc_fate_why(enum bl_ioc_fate fate)
{
	return fates[fate].why;
}

void bl_iocs_free(struct bl_iocs *set)
{
	bl_buf_free(&set->items);
	bl_buf_free(&set->paths);
	bl_buf_free(&set->sources);
}

/* --- types ---------------------------------------------------------------- */

enum form {
	FORM_ADDRESS,
	FORM_ADDRESS_PORT,
	FORM_DOMAIN_ADDRESS, /* domain|ip */
	FORM_DOMAIN,
	FORM_DOMAIN_PORT,
	FORM_PATH,
	FORM_PATH_HASH,
	FORM_SUM,
	FORM_PATH_SUM, /* filename|sha256 */
	FORM_NONE,
};

/* Types that are or have an address, a name or a path, and those that are often
 * in feeds and have none. Composites of filename and any other hash are not here. */
static const struct {
	const char *name;
	enum form form;
	enum bl_ioc_fate fate;
} known[] = {
	{ "ip-dst", FORM_ADDRESS, 0 },
	{ "ip-src", FORM_ADDRESS, 0 },
	{ "ip-dst|port", FORM_ADDRESS_PORT, 0 },
	{ "ip-src|port", FORM_ADDRESS_PORT, 0 },
	{ "domain|ip", FORM_DOMAIN_ADDRESS, 0 },
	{ "filename", FORM_PATH, 0 },
	{ "domain", FORM_DOMAIN, 0 },
	{ "hostname", FORM_DOMAIN, 0 },
	{ "hostname|port", FORM_DOMAIN_PORT, 0 },
	{ "url", FORM_NONE, BL_IOC_URL },
	{ "uri", FORM_NONE, BL_IOC_URL },
	{ "link", FORM_NONE, BL_IOC_URL },
	{ "md5", FORM_NONE, BL_IOC_HASH },
	{ "sha1", FORM_NONE, BL_IOC_HASH },
	{ "sha224", FORM_NONE, BL_IOC_HASH },
	{ "sha256", FORM_SUM, 0 },
	{ "filename|sha256", FORM_PATH_SUM, 0 },
	{ "sha384", FORM_NONE, BL_IOC_HASH },
	{ "sha512", FORM_NONE, BL_IOC_HASH },
	{ "sha512/224", FORM_NONE, BL_IOC_HASH },
	{ "sha512/256", FORM_NONE, BL_IOC_HASH },
	{ "sha3-224", FORM_NONE, BL_IOC_HASH },
	{ "sha3-256", FORM_NONE, BL_IOC_HASH },
	{ "sha3-384", FORM_NONE, BL_IOC_HASH },
	{ "sha3-512", FORM_NONE, BL_IOC_HASH },
	{ "ssdeep", FORM_NONE, BL_IOC_HASH },
	{ "tlsh", FORM_NONE, BL_IOC_HASH },
	{ "vhash", FORM_NONE, BL_IOC_HASH },
	{ "imphash", FORM_NONE, BL_IOC_HASH },
	{ "impfuzzy", FORM_NONE, BL_IOC_HASH },
	{ "pehash", FORM_NONE, BL_IOC_HASH },
	{ "authentihash", FORM_NONE, BL_IOC_HASH },
	{ "cdhash", FORM_NONE, BL_IOC_HASH },
	{ "telfhash", FORM_NONE, BL_IOC_HASH },
};

static enum form form_of(const char *type, enum bl_ioc_fate *ret_fate)
{
	static const char composite[] = "filename|";
	size_t i;

	*ret_fate = BL_IOC_TYPE;
	for (i = 0; i < BL_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, type) != 0)
			continue;
		*ret_fate = known[i].fate;
		return known[i].form;
	}
	return strncmp(type, composite, sizeof(composite) - 1) ? FORM_NONE
							       : FORM_PATH_HASH;
}

/* The row of a type; the last row is that of all that have none. */
static unsigned row_of(struct bl_iocs *set, const char *type)
{
	char name[BL_IOC_TYPE_MAX];
	unsigned i;

	bl_text_copy(name, sizeof(name), type);
	for (i = 0; i < set->type_count; i++)
		if (!strcmp(set->types[i].name, name))
			return i;
	if (i == BL_IOCS_TYPES_MAX)
		return i - 1;
	snprintf(set->types[i].name, sizeof(set->types[i].name), "%s",
		 i == BL_IOCS_TYPES_MAX - 1 ? "(others)" : name);
	set->type_count++;
	return i;
}

/* --- one indicator -------------------------------------------------------- */

/* Names that say nothing by themselves: a rule for one would meet every host's
 * own. Feeds have them, of what pretends to be such a file. */
static bool is_common(const char *name)
{
	static const char *const names[] = {
		"bash",	   "cat",	  "chmod",  "cp",     "cron",
		"curl",	   "dash",	  "env",    "grep",   "id",
		"init",	   "kill",	  "ld.so",  "ls",     "mount",
		"mv",	   "openssl",	  "passwd", "perl",   "ps",
		"python",  "python3",	  "rm",	    "sed",    "sh",
		"ssh",	   "sshd",	  "su",	    "sudo",   "systemctl",
		"systemd", "tar",	  "wget",   "shadow", "hosts",
		"group",   "resolv.conf",
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static enum bl_ioc_fate judge_path(const char *path, size_t len,
				   struct bl_ioc_item *it)
{
	it->type = BL_CONTENT_EXACT;
	it->kinds = 1U << BL_EVENT_EXEC | 1U << BL_EVENT_OPEN;
	if (len > BL_CONTENT_PATH_MAX)
		return BL_IOC_LONG_PATH;
	if (memchr(path, '/', len) || memchr(path, '\\', len))
		return bl_content_path_mistake(path, len, false)
			       ? BL_IOC_NO_PATH
			       : BL_IOC_RULE;
	it->type = BL_CONTENT_NAME;
	if (!len || bl_content_name_mistake(path, len))
		return BL_IOC_NO_PATH;
	return is_common(path) ? BL_IOC_COMMON_NAME : BL_IOC_RULE;
}

/* One label alone is a whole part of the Internet, or no name at all. */
static enum bl_ioc_fate judge_domain(char *name, struct bl_ioc_item *it)
{
	size_t len = strlen(name), i;

	for (i = 0; i < len; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] |= 0x20;
	/* The root, which people leave out. */
	if (len > 1 && name[len - 1] == '.')
		name[--len] = '\0';
	it->type = BL_CONTENT_DOMAIN;
	it->kinds = 1U << BL_EVENT_DNS;
	return !strchr(name, '.') || bl_content_domain_mistake(name, len)
		       ? BL_IOC_NO_DOMAIN
		       : BL_IOC_RULE;
}

static enum bl_ioc_fate judge_address(const char *text, struct bl_ioc_item *it)
{
	struct bl_content_net net;

	if (bl_content_net_read(text, &net))
		return BL_IOC_NO_ADDRESS;
	if (net.bits < (net.v6 ? BL_IOC_BITS6_MIN : BL_IOC_BITS4_MIN))
		return BL_IOC_WIDE;
	it->type = net.v6 ? BL_CONTENT_NET6 : BL_CONTENT_NET4;
	it->bits = (uint8_t)net.bits;
	it->high = net.high;
	it->low = net.low;
	it->kinds = 1U << BL_EVENT_CONNECT;
	return BL_IOC_RULE;
}

/* In small letters, as content has it. */
static enum bl_ioc_fate judge_sum(char *text, struct bl_ioc_item *it)
{
	static const char empty[] =
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	__u64 sum[BL_CONTENT_SUM_WORDS];
	size_t i;

	for (i = 0; text[i]; i++)
		if (text[i] >= 'A' && text[i] <= 'F')
			text[i] |= 0x20;
	it->type = BL_CONTENT_SHA256;
	it->kinds = 1U << BL_EVENT_EXEC;
	return bl_content_sum_read(text, sum) || !strcmp(text, empty)
		       ? BL_IOC_NO_SUM
		       : BL_IOC_RULE;
}

static bool is_port(const char *text)
{
	return *text >= '1' && *text <= '9' && strlen(text) <= 5 &&
	       strspn(text, "0123456789") == strlen(text) &&
	       strtol(text, NULL, 10) <= 65535;
}

/* A copy of @value that ends at its last bar, which *ret_bar is behind. */
static char *split(const char *value, const char **ret_bar)
{
	const char *bar = strrchr(value, '|');

	*ret_bar = bar ? bar + 1 : NULL;
	return strndup(value, bar ? (size_t)(bar - value) : strlen(value));
}

static bool has_bar(enum form form)
{
	return form != FORM_PATH && form != FORM_ADDRESS &&
	       form != FORM_DOMAIN && form != FORM_SUM;
}

static enum bl_ioc_fate judge(const struct bl_iocs *set, enum form form,
			      char *first, const char *second,
			      struct bl_ioc_item *it)
{
	it->widened = form == FORM_ADDRESS_PORT || form == FORM_PATH_HASH ||
		      form == FORM_DOMAIN_PORT;
	switch (form) {
	case FORM_ADDRESS:
		return judge_address(first, it);
	case FORM_ADDRESS_PORT:
		return second && is_port(second) ? judge_address(first, it)
						 : BL_IOC_NO_ADDRESS;
	case FORM_DOMAIN_ADDRESS:
		return second ? judge_domain(first, it) : BL_IOC_NO_DOMAIN;
	case FORM_DOMAIN:
		return judge_domain(first, it);
	case FORM_DOMAIN_PORT:
		return second && is_port(second) ? judge_domain(first, it)
						 : BL_IOC_NO_DOMAIN;
	case FORM_PATH_HASH:
		if (set->action == BL_ACTION_DENY)
			return BL_IOC_DENY_WIDER;
		/* fallthrough */
	case FORM_PATH:
		return judge_path(first, strlen(first), it);
	case FORM_SUM:
	case FORM_PATH_SUM:
		return judge_sum(first, it);
	case FORM_NONE:
		break;
	}
	return BL_IOC_TYPE;
}

static int seen(struct bl_iocs *set, struct bl_err *err)
{
	if (set->count == BL_IOCS_MAX)
		return bl_err_set(
			err, -E2BIG,
			"more than %u indicators, the limit of one import",
			BL_IOCS_MAX);
	set->count++;
	return 0;
}

int bl_iocs_skip(struct bl_iocs *set, const char *type, enum bl_ioc_fate fate,
		 struct bl_err *err)
{
	int r = seen(set, err);

	if (!r)
		set->types[row_of(set, type)].fates[fate]++;
	return r;
}

static int keep(struct bl_iocs *set, struct bl_ioc_item *it, const char *type,
		const char *text, struct bl_err *err)
{
	it->row = (uint8_t)row_of(set, type);
	/* A name is in every folder, and stands for no file in particular. */
	it->action = it->type == BL_CONTENT_EXACT ||
				     it->type == BL_CONTENT_SHA256
			     ? (uint8_t)set->action
			     : BL_ACTION_EMIT;
	return bl_ioc_item_add(set, it, bl_ioc_item_net(it) ? NULL : text, err);
}

int bl_iocs_add(struct bl_iocs *set, const char *type, const char *value,
		uint32_t source, struct bl_err *err)
{
	struct bl_ioc_item it = { .source = source };
	struct bl_ioc_item more = { .source = source,
				    .second = 1,
				    .widened = 1 };
	bl_autofree char *first = NULL;
	const char *second = NULL;
	enum bl_ioc_fate fate;
	enum form form = form_of(type, &fate);
	int r;

	if (form == FORM_NONE)
		return bl_iocs_skip(set, type, fate, err);
	first = has_bar(form) ? split(value, &second) : strdup(value);
	/* Whose file it is says less than what is in it. */
	if (first && form == FORM_PATH_SUM) {
		free(first);
		first = strdup(second ? second : "");
	}
	if (!first)
		return bl_err_set(err, -ENOMEM, "out of memory");
	fate = judge(set, form, first, second, &it);
	if (fate != BL_IOC_RULE)
		return bl_iocs_skip(set, type, fate, err);
	r = seen(set, err);
	if (!r)
		r = keep(set, &it, type, first, err);
	/* Who knows the address need not ask for the name. */
	if (!r && form == FORM_DOMAIN_ADDRESS &&
	    judge_address(second, &more) == BL_IOC_RULE)
		r = keep(set, &more, type, NULL, err);
	return r;
}

int bl_iocs_source(struct bl_iocs *set, const char *name, uint32_t *ret,
		   struct bl_err *err)
{
	char id[BL_CONTENT_NAME_MAX] = "";
	size_t count = set->sources.len / sizeof(id);

	if (!bl_name_valid(name))
		return bl_err_set(err, -EINVAL, "'%s' can name no source",
				  name);
	snprintf(id, sizeof(id), "%s", name);
	if (bl_buf_add(&set->sources, id, sizeof(id)))
		return bl_err_set(err, -ENOMEM, "out of memory");
	*ret = (uint32_t)count;
	return 0;
}
