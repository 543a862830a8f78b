/* SPDX-License-Identifier: Apache-2.0 */
/* Of an archive that is taken, what comes out is in it, and has a digest that
 * its manifest says; nobody else's bytes come out. */
#include <string.h>

#include "loader/oci/layout.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autobuf struct bl_buf out = { 0 };
	char manifest[BL_DIGEST_HEX] = "?", digest[BL_DIGEST_HEX];
	struct bl_err err = { 0 };
	int r = bl_layout_unpack("f", data, size, &out, manifest, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(!out.data && strcmp(manifest, "?") == 0);
		return 0;
	}
	fuzz_accepted++;
	FUZZ_CHECK(out.len && out.len < size);
	FUZZ_CHECK(memmem(data, size, out.data, out.len));
	FUZZ_CHECK(bl_digest(out.data, out.len, digest) == 0);
	/* As a member's name and in the manifest; that one's in the index. */
	FUZZ_CHECK(memmem(data, size, digest, strlen(digest)));
	FUZZ_CHECK(bl_digest_valid(manifest));
	FUZZ_CHECK(memmem(data, size, manifest, strlen(manifest)));
	return 0;
}
