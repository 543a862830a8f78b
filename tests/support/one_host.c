/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/one_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"

static const struct one_host *asked; /* the newest */

static int usable(struct bl_err *err)
{
	return asked->usable ? asked->usable(asked, err) : 0;
}

struct bl_host *one_host_open(const struct one_host *one)
{
	struct bl_host_config config = { .state_dir = one->state_dir,
					 .ops = &fake_kern_ops,
					 .kern = one->fake,
					 .clock = &fake_clock,
					 .usable = usable };
	struct bl_host *host = NULL;
	struct bl_err err = { 0 };

	asked = one;
	ck_assert_msg(!bl_host_open(&config, &host, &err), "%s", err.text);
	return host;
}

void one_host_write(const struct one_host *one, const char *name,
		    const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", one->dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
}

void one_host_bundle(const struct one_host *one, const char *version,
		     const char *content, struct bl_bundle *ret)
{
	bl_autofree char *manifest = bl_path("%s/manifest.json", one->dir);
	struct bl_err err = { 0 };
	char text[256];

	one_host_write(one, "fake.bpf.o", version);
	if (content)
		one_host_write(one, "content.json", content);
	snprintf(text, sizeof(text),
		 "{\"name\":\"fake\",\"version\":\"%s\","
		 "\"object\":\"fake.bpf.o\",%s"
		 "\"trial\":{\"probation_ms\":%d}}",
		 version, content ? "\"content\":\"content.json\"," : "",
		 ONE_HOST_PROBATION_MS);
	one_host_write(one, "manifest.json", text);
	ck_assert_msg(!bl_bundle_build(manifest, ret, &err), "%s", err.text);
}

void one_host_set_up(struct one_host *one)
{
	*one = (struct one_host){ .dir = bl_test_tmpdir() };
	one->state_dir = bl_path("%s/state", one->dir);
	one->fake = fake_kern_new();
	ck_assert_ptr_nonnull(one->fake);
	one_host_bundle(one, "1", NULL, &one->v1);
	one_host_bundle(one, "2", NULL, &one->v2);
	one->host = one_host_open(one);
}

void one_host_tear_down(struct one_host *one)
{
	bl_host_close(one->host);
	bl_bundle_free(&one->v1);
	bl_bundle_free(&one->v2);
	bl_file_rmtree(one->dir, NULL);
	fake_kern_free(one->fake);
	free(one->dir);
	free(one->state_dir);
}

void one_host_apply(struct one_host *one, const struct bl_bundle *b,
		    const struct bl_apply_opts *opts,
		    enum bl_apply_outcome outcome)
{
	struct bl_err err = { 0 };

	ck_assert_msg(!bl_host_apply(one->host, b, opts, &one->res, &err), "%s",
		      err.text);
	ck_assert_msg(one->res.outcome == outcome, "outcome %d: %s",
		      one->res.outcome, one->res.reason);
}

struct bl_host_status one_host_status(const struct one_host *one)
{
	struct bl_host_status status;
	struct bl_err err = { 0 };

	ck_assert_msg(!bl_host_status(one->host, &status, &err), "%s",
		      err.text);
	return status;
}
