/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod_slot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/kern/boot_id.h"

#define RECORD	   "record.json"
#define TRIED	   "tried"
#define RECORD_MAX 1024 /* bytes */

static const char *const slots[BL_SLOT_COUNT] = { "a", "b" };

char *bl_kmod_slot_path(const char *dir, enum bl_slot slot, const char *name)
{
	return bl_path("%s/%s/%s", dir, slots[slot], name);
}

/* Who can write there has code run by the kernel. */
static int check_ours(const char *dir, struct bl_err *err)
{
	struct stat st;

	if (lstat(dir, &st))
		return errno == ENOENT ? 0
				       : bl_err_errno(err, -errno,
						      "modules in %s", dir);
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	bl_err_set(
		err, -EPERM,
		"modules in %s: it is not a folder that only this user may write",
		dir);
	bl_err_hint(err, "see who made it (ls -ld), and remove it");
	return -EPERM;
}

int bl_kmod_slot_check(const char *dir, struct bl_err *err)
{
	return check_ours(dir, err);
}

static int write_record(const char *folder, const struct bl_kmod_slot *of,
			struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" RECORD, folder);
	bl_autofree char *text = NULL;
	char boot[BL_KERN_BOOT_ID_LEN];
	int r = bl_boot_id(boot, err);

	if (r)
		return r;
	text = bl_json_dump(json_pack("{s:s, s:I, s:s, s:b}", "boot_id", boot,
				      "number", (json_int_t)of->number, "tag",
				      of->tag, "denies", of->denies));
	if (!path || !text)
		return bl_err_errno(err, -ENOMEM, "slot");
	return bl_file_write(path, text, strlen(text), 0600, err);
}

static int write_part(const char *folder, const char *name, const void *data,
		      size_t len, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s", folder, name);

	return path ? bl_file_write(path, data, len, 0600, err)
		    : bl_err_errno(err, -ENOMEM, "slot");
}

int bl_kmod_slot_make(const char *dir, enum bl_slot slot,
		      const struct bl_kmod_slot *of,
		      const struct bl_kern_module *ko,
		      const struct bl_generation *gen, struct bl_err *err)
{
	bl_autofree char *to = bl_path("%s/%s", dir, slots[slot]);
	bl_autofree char *folder = bl_path("%s/%s.new", dir, slots[slot]);
	int r;

	if (!to || !folder)
		return bl_err_errno(err, -ENOMEM, "slot");
	r = bl_file_rmtree(folder, err);
	if (!r)
		r = bl_file_mkdirs(folder, 0700, err);
	if (!r)
		r = check_ours(dir, err);
	if (!r)
		r = write_part(folder, BL_KMOD_SLOT_KO, ko->data, ko->len, err);
	if (!r && gen->content)
		r = write_part(folder, BL_KMOD_SLOT_CONTENT, gen->content,
			       gen->content_len, err);
	if (!r)
		r = write_record(folder, of, err);
	if (!r && rename(folder, to))
		r = bl_err_errno(err, -errno, "slot %s", to);
	return r;
}

struct record {
	const char *boot_id, *tag;
	int64_t number;
	bool denies;
};

static const struct bl_json_field fields[] = {
	{ "boot_id", BL_JSON_STRING, true, offsetof(struct record, boot_id), 1,
	  BL_KERN_BOOT_ID_LEN - 1 },
	{ "number", BL_JSON_INT, true, offsetof(struct record, number), 0,
	  UINT32_MAX },
	{ "tag", BL_JSON_STRING, true, offsetof(struct record, tag), 1,
	  BL_KERN_TAG_LEN - 1 },
	{ "denies", BL_JSON_BOOL, true, offsetof(struct record, denies), 0, 0 },
};

static bool read_tried(const char *dir, enum bl_slot slot)
{
	bl_autofree char *path = bl_kmod_slot_path(dir, slot, TRIED);

	return path && !access(path, F_OK);
}

int bl_kmod_slot_read(const char *dir, enum bl_slot slot,
		      struct bl_kmod_slot *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_kmod_slot_path(dir, slot, RECORD);
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	char boot[BL_KERN_BOOT_ID_LEN];
	struct record record = { 0 };
	struct bl_err why = { 0 };
	int r = path ? bl_json_load(path, RECORD_MAX, &doc, &why)
		     : bl_err_errno(&why, -ENOMEM, "slot");

	if (r == -ENOENT)
		return 0;
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &record, &why);
	if (!r)
		r = bl_boot_id(boot, &why);
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	if (strcmp(boot, record.boot_id) != 0)
		return 0;
	*ret = (struct bl_kmod_slot){ .number = (uint32_t)record.number,
				      .denies = record.denies,
				      .tried = read_tried(dir, slot) };
	snprintf(ret->tag, sizeof(ret->tag), "%s", record.tag);
	return 1;
}

int bl_kmod_slot_tried(const char *dir, enum bl_slot slot, struct bl_err *err)
{
	bl_autofree char *path = bl_kmod_slot_path(dir, slot, TRIED);

	return path ? bl_file_write(path, "", 0, 0600, err)
		    : bl_err_errno(err, -ENOMEM, "slot");
}

int bl_kmod_slot_drop(const char *dir, enum bl_slot slot, struct bl_err *err)
{
	bl_autofree char *from = bl_path("%s/%s", dir, slots[slot]);
	bl_autofree char *gone = bl_path("%s/%s.gone", dir, slots[slot]);
	bl_autofree char *half = bl_path("%s/%s.new", dir, slots[slot]);
	int r;

	if (!from || !gone || !half)
		return bl_err_errno(err, -ENOMEM, "slot");
	r = bl_file_rmtree(gone, err);
	if (!r && rename(from, gone) && errno != ENOENT)
		r = bl_err_errno(err, -errno, "empty %s", from);
	if (!r)
		r = bl_file_rmtree(gone, err);
	return r ? r : bl_file_rmtree(half, err);
}
