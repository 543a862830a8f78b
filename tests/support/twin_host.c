/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/twin_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/ko.h"

static const char watching[] =
	"{\"contract\":1,\"rules\":[{\"id\":\"a\",\"event\":\"open\","
	"\"path\":\"/a\",\"action\":\"emit\"}]}";

static void put(const struct twin *twin, const char *name, const void *data,
		size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", twin->dir, name);

	ck_assert_int_eq(bl_file_write(path, data, len, 0600, NULL), 0);
}

void twin_bundle(const struct twin *twin, int version, const char *content,
		 struct bl_bundle *ret)
{
	bl_autofree char *path = bl_path("%s/manifest.json", twin->dir);
	bl_autobuf struct bl_buf ko = { 0 };
	struct bl_err err = { 0 };
	char text[512];

	ko_make(&(struct ko){ .vermagic = FAKE_RELEASE " SMP ",
			      .build_bytes = 20,
			      .build = (unsigned char)(version + 1) },
		&ko);
	put(twin, "twin.ko", ko.data, ko.len);
	put(twin, "e.bpf.o", "object", 6);
	put(twin, "content.json", content, strlen(content));
	snprintf(text, sizeof(text),
		 "{\"name\":\"twin\",\"version\":\"%d\",%s,"
		 "\"content\":\"content.json\","
		 "\"trial\":{\"probation_ms\":500}}",
		 version + 1,
		 version == TWIN_E1 ? "\"object\":\"e.bpf.o\""
				    : "\"modules\":[\"twin.ko\"]");
	put(twin, "manifest.json", text, strlen(text));
	ck_assert_msg(!bl_bundle_build(path, ret, &err), "%s", err.text);
}

void twin_set_up(struct twin *twin)
{
	struct bl_err err = { 0 };

	*twin = (struct twin){ .dir = bl_test_tmpdir(),
			       .kern = fake_kern_new() };
	twin->kmod = fake_kmod_new(twin->kern);
	ck_assert(twin->kern && twin->kmod);
	twin->state_dir = bl_path("%s/state", twin->dir);
	twin->module_dir = bl_path("%s/run/modules", twin->dir);
	ck_assert_msg(!bl_kern_both_of(&fake_kern_ops, twin->kern,
				       twin->module_dir, &fake_kmod_kernel,
				       twin->kmod, &twin->both, &err),
		      "%s", err.text);
	for (int i = 0; i < TWIN_VERSIONS; i++)
		twin_bundle(twin, i, watching, &twin->bundles[i]);
}

void twin_tear_down(struct twin *twin)
{
	bl_kern_both_free(twin->both);
	for (int i = 0; i < TWIN_VERSIONS; i++)
		bl_bundle_free(&twin->bundles[i]);
	bl_file_rmtree(twin->dir, NULL);
	fake_kmod_free(twin->kmod);
	fake_kern_free(twin->kern);
	free(twin->dir);
	free(twin->state_dir);
	free(twin->module_dir);
}

struct bl_host *twin_open(const struct twin *twin)
{
	struct bl_host_config config = { .state_dir = twin->state_dir,
					 .ops = &bl_kern_both_ops,
					 .kern = twin->both,
					 .clock = &fake_clock,
					 .pstore_dir = twin->pstore_dir };
	struct bl_host *host = NULL;
	struct bl_err err = { 0 };

	ck_assert_msg(!bl_host_open(&config, &host, &err), "%s", err.text);
	return host;
}

void twin_reboot(struct twin *twin)
{
	fake_kern_reboot(twin->kern);
	fake_kmod_reboot(twin->kmod);
	ck_assert_int_eq(bl_file_rmtree(twin->module_dir, NULL), 0);
}
