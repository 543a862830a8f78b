/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts that come with a bundle from a registry, told apart by their first
 * letter: a manifest, an index, a marker, a reference, a challenge, a token's
 * answer, logins. What is taken of them goes into paths, URLs and headers, and
 * can be no more than a piece of one.
 */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/oci/challenge.h"
#include "loader/oci/credentials.h"
#include "loader/oci/image.h"
#include "loader/oci/reference.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static bool printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static void images(char kind, const char *text, size_t len)
{
	struct bl_oci_descriptor d = { .digest = "?" };
	struct bl_err err = { 0 };
	int r = kind == 'm'   ? bl_oci_manifest_read("f", text, len, &d, &err)
		: kind == 'i' ? bl_oci_index_read("f", text, len, &d, &err)
			      : bl_oci_marker_read("f", text, len, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r || kind == 'k') {
		FUZZ_CHECK(strcmp(d.digest, "?") == 0 && !d.size);
		fuzz_accepted += !r;
		return;
	}
	fuzz_accepted++;
	FUZZ_CHECK(bl_digest_valid(d.digest));
	FUZZ_CHECK(d.size &&
		   d.size <= (kind == 'm' ? BL_BUNDLE_MAX : BL_OCI_JSON_MAX));
}

static void reference(const char *text)
{
	struct bl_reference ref = { .host = "?" };
	struct bl_err err = { 0 };
	int r = bl_reference_read(text, &ref, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(strcmp(ref.host, "?") == 0);
		return;
	}
	fuzz_accepted++;
	FUZZ_CHECK(!*ref.digest || bl_digest_valid(ref.digest));
	FUZZ_CHECK(printable(ref.host) && printable(ref.name));
	FUZZ_CHECK(printable(ref.url) && !strpbrk(ref.url, " #"));
	if (ref.kind != BL_REFERENCE_OCI)
		return;
	FUZZ_CHECK(*ref.digest && *ref.host && *ref.name);
	FUZZ_CHECK(!strpbrk(ref.host, "/@?#%") && !strpbrk(ref.name, "@?#%:"));
	FUZZ_CHECK(!strstr(ref.name, "..") && !strstr(ref.name, "//"));
	FUZZ_CHECK(ref.name[0] != '/');
}

static void challenge(const char *text)
{
	bl_autobuf struct bl_buf url = { 0 };
	struct bl_challenge c;

	if (bl_challenge_read(text, &c) < 0)
		return;
	fuzz_accepted++;
	FUZZ_CHECK(printable(c.realm) && printable(c.service) &&
		   printable(c.scope));
	FUZZ_CHECK(bl_challenge_url(&c, "a/b", &url) == 0);
	FUZZ_CHECK(printable(url.data));
	FUZZ_CHECK(strncmp(url.data, c.realm, strlen(c.realm)) == 0);
	FUZZ_CHECK(!strpbrk(url.data + strlen(c.realm), " \"\r\n#"));
}

/* What becomes a header. */
static void secret(char kind, const char *text, size_t len)
{
	bl_autobuf struct bl_buf got = { 0 };
	struct bl_err err = { 0 };
	int r = kind == 't' ? bl_challenge_token("f", text, len, &got, &err)
			    : bl_credentials_read("f", text, len, "h:5000",
						  "a/b", &got, &err);

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || !got.len);
	FUZZ_CHECK(got.len <=
		   (kind == 't' ? BL_BEARER_MAX : BL_CREDENTIALS_MAX));
	FUZZ_CHECK(printable(bl_buf_str(&got)) &&
		   !strchr(bl_buf_str(&got), ' '));
	fuzz_accepted += !r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autobuf struct bl_buf text = { 0 };

	if (size < 2 || bl_buf_add(&text, data + 1, size - 1) < 0)
		return 0;
	switch (data[0]) {
	case 'm':
	case 'i':
	case 'k':
		images((char)data[0], text.data, text.len);
		break;
	case 'r':
		reference(text.data);
		break;
	case 'c':
		challenge(text.data);
		break;
	case 't':
	case 'l':
		secret((char)data[0], text.data, text.len);
		break;
	default:
		break;
	}
	return 0;
}
