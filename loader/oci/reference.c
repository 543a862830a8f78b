/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ALGORITHM "sha256:"
#define ALNUM	  "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER	  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define TAG_MAX	  128

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool port_valid(const char *text)
{
	size_t len = strspn(text, "0123456789");
	unsigned long port = 0;

	for (size_t i = 0; i < len && i < 6; i++)
		port = 10 * port + (unsigned)(text[i] - '0');
	return len && len < 6 && !text[len] && port && port <= 65535;
}

/* A name, or an IPv6 address in brackets; and a port. */
static bool host_valid(const char *host)
{
	size_t len;

	if (*host == '[') {
		len = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
		if (len < 3 || host[len] != ']')
			return false;
		len++;
	} else {
		len = strspn(host, ALNUM UPPER ".-");
		if (!len || *host == '.' || *host == '-')
			return false;
	}
	return !host[len] || (host[len] == ':' && port_valid(host + len + 1));
}

/* Between two runs of letters and digits: ".", "_", "__", or any "-". */
static size_t separator(const char *text)
{
	if (*text == '-')
		return strspn(text, "-");
	if (starts(text, "__"))
		return 2;
	return *text == '.' || *text == '_' ? 1 : 0;
}

/* distribution-spec 1.1, "Pulling manifests": what <name> may be. */
static bool name_valid(const char *name)
{
	for (;;) {
		size_t len = strspn(name, ALNUM);

		if (!len)
			return false;
		name += len;
		if (!*name)
			return true;
		len = *name == '/' ? 1 : separator(name);
		if (!len)
			return false;
		name += len;
	}
}

static bool tag_valid(const char *tag)
{
	size_t len = strlen(tag);

	return len && len <= TAG_MAX && *tag != '.' && *tag != '-' &&
	       strspn(tag, ALNUM UPPER "._-") == len;
}

static int fail_digest(const char *text, struct bl_err *err)
{
	bl_err_set(err, -EINVAL,
		   "%s: a digest is sha256: and 64 digits of 0-9 and a-f",
		   text);
	return -EINVAL;
}

/* Without a digest: why not, and how to come by one. */
static int fail_tag(const char *text, const struct bl_reference *ref,
		    const char *tag, struct bl_err *err)
{
	bl_err_set(
		err, -EINVAL,
		*tag ? "%s: a tag is no name for a bundle: whoever can write to the registry moves it to another one"
		     : "%s: which bundle of that name? there is no digest",
		text);
	bl_err_hint(
		err,
		"for the digest: skopeo inspect --raw docker://%.100s/%.200s:%.64s | sha256sum; then oci://…@sha256:DIGEST",
		ref->host, ref->name, *tag ? tag : "TAG");
	return -EINVAL;
}

/* @rest: HOST/NAME[:TAG][@sha256:HEX] */
static int read_oci(const char *text, const char *rest,
		    struct bl_reference *ret, struct bl_err *err)
{
	char path[BL_REFERENCE_MAX + 1];
	char *at, *tag;
	size_t host = strcspn(rest, "/");

	if (!rest[host])
		return bl_err_set(err, -EINVAL,
				  "%s: oci://HOST/NAME@sha256:… was expected",
				  text);
	if (host > BL_REFERENCE_HOST_MAX)
		return bl_err_set(err, -EINVAL, "%.80s…: the host is too long",
				  text);
	memcpy(ret->host, rest, host);
	ret->host[host] = '\0';
	snprintf(path, sizeof(path), "%s", rest + host + 1);
	at = strchr(path, '@');
	if (at)
		*at++ = '\0';
	tag = strchr(path, ':');
	if (tag)
		*tag++ = '\0';
	if (!host_valid(ret->host))
		return bl_err_set(err, -EINVAL,
				  "%s: '%s' is no HOST or HOST:PORT", text,
				  ret->host);
	if (strlen(path) > BL_REFERENCE_NAME_MAX || !name_valid(path))
		return bl_err_set(
			err, -EINVAL,
			"%s: '%.255s' is no name in a registry: small letters, digits, and . _ - / between them",
			text, path);
	memcpy(ret->name, path, strlen(path) + 1);
	if (tag && !tag_valid(tag))
		return bl_err_set(err, -EINVAL, "%s: '%.80s' is no tag", text,
				  tag);
	if (!at)
		return fail_tag(text, ret, tag ? tag : "", err);
	if (!starts(at, ALGORITHM) || !bl_digest_valid(at + strlen(ALGORITHM)))
		return fail_digest(text, err);
	memcpy(ret->digest, at + strlen(ALGORITHM), BL_DIGEST_HEX);
	return 0;
}

/* Whether there are only bytes that may stand in a URL (RFC 3986), and nobody's
 * password: every user of this machine sees what a command is called with. */
static bool url_valid(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	if (memchr(host, '@', strcspn(host, "/?#")))
		return false;
	for (; *url; url++)
		if (*url <= ' ' || *url >= 0x7f || strchr("\"<>\\^`{|}", *url))
			return false;
	return true;
}

static int read_web(const char *text, struct bl_reference *ret,
		    struct bl_err *err)
{
	char *hash;

	snprintf(ret->url, sizeof(ret->url), "%s", text);
	if (!url_valid(text))
		return bl_err_set(err, -EINVAL, "%s is no URL", text);
	hash = strchr(ret->url, '#');
	if (!hash)
		return 0;
	*hash++ = '\0';
	if (!starts(hash, ALGORITHM) ||
	    !bl_digest_valid(hash + strlen(ALGORITHM)))
		return fail_digest(text, err);
	memcpy(ret->digest, hash + strlen(ALGORITHM), BL_DIGEST_HEX);
	return 0;
}

int bl_reference_read(const char *text, struct bl_reference *ret,
		      struct bl_err *err)
{
	struct bl_reference ref = { .kind = BL_REFERENCE_FILE };
	bool oci = starts(text, "oci://");
	int r = 0;

	if (oci)
		ref.kind = BL_REFERENCE_OCI;
	else if (starts(text, "https://") || starts(text, "http://"))
		ref.kind = BL_REFERENCE_WEB;
	if (starts(text, "docker://")) {
		bl_err_set(err, -EINVAL, "%.200s: a registry is oci:// here",
			   text);
		bl_err_hint(err, "oci://HOST/NAME@sha256:DIGEST");
		return -EINVAL;
	}
	if (ref.kind != BL_REFERENCE_FILE && strlen(text) > BL_REFERENCE_MAX)
		return bl_err_set(err, -EINVAL, "%.80s…: longer than %d bytes",
				  text, BL_REFERENCE_MAX);
	if (ref.kind == BL_REFERENCE_OCI)
		r = read_oci(text, text + strlen("oci://"), &ref, err);
	else if (ref.kind == BL_REFERENCE_WEB)
		r = read_web(text, &ref, err);
	if (!r)
		*ret = ref;
	return r;
}
