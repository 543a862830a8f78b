/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/boot/pstore.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/boot/evidence.h"

#define PSTORE_MAGIC 0x6165676c
#define BACKEND	     "/sys/module/pstore/parameters/backend"

struct record {
	char name[BL_NAME_MAX + 1];
	struct bl_buf text;
	unsigned count, part;
};

struct records {
	struct record list[BL_PSTORE_RECORDS_MAX];
	size_t n;
};

static void records_free(struct records **r)
{
	for (size_t i = 0; *r && i < (*r)->n; i++)
		bl_buf_free(&(*r)->list[i].text);
	free(*r);
}

bool bl_pstore_works(const char *dir)
{
	bl_autobuf struct bl_buf backend = { 0 };
	struct statfs fs;

	if (!dir || statfs(dir, &fs) < 0)
		return false;
	if (fs.f_type != PSTORE_MAGIC)
		return true; /* a folder that stands for it */
	return bl_file_read(BACKEND, 256, &backend, NULL) == 0 &&
	       !strstr(bl_buf_str(&backend), "(null)");
}

static bool known(const struct records *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->list[i].name, name) == 0)
			return true;
	return false;
}

/* The time of a file of pstore is that of its record, in seconds. */
static void add(struct records *r, const char *dir, const char *name,
		int64_t since_ms)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	struct record *rec = &r->list[r->n];
	struct stat st;

	if (r->n == BL_PSTORE_RECORDS_MAX || known(r, name) || !path ||
	    stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (int64_t)st.st_mtim.tv_sec < since_ms / 1000)
		return;
	if (bl_file_read(path, BL_PSTORE_RECORD_MAX, &rec->text, NULL) < 0) {
		bl_buf_free(&rec->text);
		return;
	}
	snprintf(rec->name, sizeof(rec->name), "%.*s", BL_NAME_MAX, name);
	bl_evidence_header(bl_buf_str(&rec->text), rec->text.len, &rec->count,
			   &rec->part);
	r->n++;
}

static void add_all(struct records *r, const char *dir, int64_t since_ms)
{
	bl_autoclosedir DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (bl_name_valid(e->d_name) &&
		    strncmp(e->d_name, "dmesg-", 6) == 0)
			add(r, dir, e->d_name, since_ms);
}

/* The first report first; of one report, the beginning (the highest part). */
static int in_time(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	if (x->part != y->part)
		return x->part > y->part ? -1 : 1;
	return strcmp(x->name, y->name);
}

void bl_pstore_read(const char *dir, int64_t since_ms, const char *kept,
		    struct bl_buf *ret)
{
	BL_CLEANUP(records_free)
	struct records *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	add_all(r, kept, 0);
	add_all(r, dir, since_ms);
	qsort(r->list, r->n, sizeof(r->list[0]), in_time);
	for (size_t i = 0; i < r->n; i++) {
		const struct bl_buf *text = &r->list[i].text;

		if (ret->len + text->len < BL_EVIDENCE_BYTES &&
		    (bl_buf_add(ret, bl_buf_str(text), text->len) < 0 ||
		     bl_buf_add(ret, "\n", 1) < 0))
			return;
	}
}

void bl_pstore_take(const char *dir, int64_t since_ms, const char *kept)
{
	BL_CLEANUP(records_free)
	struct records *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	add_all(r, dir, since_ms);
	if (!r->n || bl_file_mkdirs(kept, 0700, NULL) < 0)
		return;
	for (size_t i = 0; i < r->n; i++) {
		const struct record *rec = &r->list[i];
		bl_autofree char *from = bl_path("%s/%s", dir, rec->name);
		bl_autofree char *to = bl_path("%s/%s", kept, rec->name);

		if (from && to &&
		    bl_file_write(to, bl_buf_str(&rec->text), rec->text.len,
				  0600, NULL) == 0)
			unlink(from);
	}
}

static bool is_number(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits && digits <= 18 && !name[digits];
}

/* The lowest number, and how many there are. */
static size_t lowest(const char *root, unsigned long long *ret)
{
	bl_autoclosedir DIR *d = opendir(root);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		unsigned long long v;

		if (!is_number(e->d_name))
			continue;
		v = strtoull(e->d_name, NULL, 10);
		if (!n++ || v < *ret)
			*ret = v;
	}
	return n;
}

void bl_pstore_prune(const char *root)
{
	unsigned long long low = 0;

	while (lowest(root, &low) > BL_PSTORE_KEPT) {
		bl_autofree char *path = bl_path("%s/%llu", root, low);

		if (!path || bl_file_rmtree(path, NULL) < 0)
			return;
	}
}
