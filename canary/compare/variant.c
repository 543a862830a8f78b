/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/variant.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/text.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"

#define OWN_CONTENT "sensor.json"

/* Longer than any fault of the catalogue waits before it shows. */
#define PROBATION_MS 14000

/*
 * Limits as a fleet sets them that knows its sensor: in these guests an event
 * takes the eBPF sensor 10,000 ns and the module 5,000, and one of either 200 KiB
 * of the kernel's memory (medians of a trial, 6.1).
 */
#define NS_PER_EVENT 60000
#define MEMORY_BYTES (32 << 20)

void bl_variant_free(struct bl_variant *v)
{
	free(v->ko);
	free(v->bin);
	free(v->path);
	bl_buf_free(&v->raw);
	*v = (struct bl_variant){ 0 };
}

/* --- damage --------------------------------------------------------------- */

/* Where the code of the ELF file @data is; false: nowhere. */
static bool find_text(const struct bl_buf *data, size_t *ret_at,
		      size_t *ret_len)
{
	const Elf64_Ehdr *e = (const void *)data->data;
	const Elf64_Shdr *s;
	size_t i;

	if (data->len < sizeof(*e) ||
	    memcmp(data->data, ELFMAG, SELFMAG) != 0 ||
	    e->e_shoff > data->len ||
	    e->e_shnum > (data->len - e->e_shoff) / sizeof(*s))
		return false;
	s = (const void *)(data->data + e->e_shoff);
	for (i = 0; i < e->e_shnum; i++)
		if ((s[i].sh_flags & SHF_EXECINSTR) &&
		    s[i].sh_type == SHT_PROGBITS && s[i].sh_size &&
		    s[i].sh_offset < data->len &&
		    s[i].sh_size <= data->len - s[i].sh_offset) {
			*ret_at = s[i].sh_offset;
			*ret_len = s[i].sh_size;
			return true;
		}
	return false;
}

void bl_variant_damage(struct bl_buf *data, enum bl_fault_inject how)
{
	size_t at = 0, len = data->len;

	if (how == BL_INJECT_TRUNCATED)
		data->len = data->len / 5 * 3;
	if (how != BL_INJECT_FLIPPED || !data->len)
		return;
	find_text(data, &at, &len);
	data->data[at + len / 2] ^= 0x10;
}

/* --- making it ------------------------------------------------------------ */

struct maker {
	const struct bl_variant_spec *spec;
	struct bl_variant *v;
	struct bl_err *err;
	struct bl_buf program, content; /* as built */
};

static int read_built(struct maker *m, const char *path, struct bl_buf *ret)
{
	int r = path ? bl_file_read(path, BL_OBJECT_MAX, ret, m->err) : -ENOMEM;

	if (r == -ENOENT)
		bl_err_hint(m->err, "scripts/compare-all builds it");
	return r;
}

static int read_all(struct maker *m)
{
	const struct bl_variant_spec *s = m->spec;
	bl_autofree char *program =
		s->way == BL_COMPARE_C
			? bl_path("%s/ebpf/%s.bpf.o", s->dir, s->variant)
			: bl_path("%s/%s/%s/belay_sensor.ko", s->dir,
				  s->release, s->variant);
	bl_autofree char *content = bl_path(
		"%s/content/%s", s->dir, s->content ? s->content : OWN_CONTENT);
	int r = read_built(m, program, &m->program);

	return r ? r : read_built(m, content, &m->content);
}

static int put(struct maker *m, const char *name, const struct bl_buf *data,
	       char **ret_path)
{
	bl_autofree char *path = bl_path("%s/%s", m->spec->work, name);
	int r = path ? bl_file_write(path, bl_buf_str(data), data->len, 0644,
				     m->err)
		     : bl_err_set(m->err, -ENOMEM, "out of memory");

	if (!r && ret_path)
		*ret_path = BL_TAKE(path);
	return r;
}

/* Way A: a module and its content, as a host without belay has them. */
static int make_files(struct maker *m)
{
	bl_autobuf struct bl_buf bin = { 0 }, all = { 0 };
	int r = bl_content_compile("content", bl_buf_str(&m->content),
				   m->content.len, &bin, NULL, m->err);

	bl_variant_damage(&m->program, m->spec->inject);
	if (!r)
		r = put(m, "module.ko", &m->program, &m->v->ko);
	if (!r)
		r = put(m, "content.bin", &bin, &m->v->bin);
	if (!r)
		r = bl_buf_add(&all, bl_buf_str(&m->program), m->program.len);
	if (!r)
		r = bl_buf_add(&all, bl_buf_str(&bin), bin.len);
	return r ? r : bl_digest(all.data, all.len, m->v->digest);
}

static int put_manifest(struct maker *m, const char *file, char **ret_path)
{
	bool c = m->spec->way == BL_COMPARE_C;
	json_t *root = json_pack("{s:s,s:s,s:s,s:{s:I,s:I,s:I}}", "name",
				 BL_VARIANT_NAME, "version", m->spec->version,
				 "content", "content.json", "trial",
				 "probation_ms", (json_int_t)PROBATION_MS,
				 "max_ns_per_event", (json_int_t)NS_PER_EVENT,
				 "max_memory_bytes", (json_int_t)MEMORY_BYTES);
	bl_autofree char *text = NULL;
	struct bl_buf data;

	if (root && json_object_set_new(root, c ? "object" : "modules",
					c ? json_string(file)
					  : json_pack("[s]", file)) < 0) {
		json_decref(root);
		root = NULL;
	}
	text = root ? bl_json_dump(root) : NULL;
	if (!text)
		return bl_err_set(m->err, -ENOMEM, "out of memory");
	data = (struct bl_buf){ .data = text, .len = strlen(text) };
	return put(m, "manifest.json", &data, ret_path);
}

/* Ways B and C. A damaged bundle is what a host is sent, so the damage is done
 * to the whole. */
static int make_bundle(struct maker *m)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	bl_autofree char *manifest = NULL;
	const char *file = m->spec->way == BL_COMPARE_C ? "sensor.bpf.o"
							: "belay_sensor.ko";
	int r = put(m, file, &m->program, NULL);

	if (!r)
		r = put(m, "content.json", &m->content, NULL);
	if (!r)
		r = put_manifest(m, file, &manifest);
	if (!r)
		r = bl_bundle_build(manifest, &b, m->err);
	if (r)
		return r;
	bl_variant_damage(&b.raw, m->spec->inject);
	r = bl_digest(b.raw.data, b.raw.len, m->v->digest);
	if (!r)
		r = put(m, "version.bundle", &b.raw, &m->v->path);
	if (r)
		return r;
	m->v->raw = b.raw;
	b.raw = (struct bl_buf){ 0 };
	return 0;
}

int bl_variant_make(const struct bl_variant_spec *spec, struct bl_variant *ret,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_variant_free) struct bl_variant v = { 0 };
	struct maker m = { .spec = spec, .v = &v, .err = err };
	int r = bl_file_mkdirs(spec->work, 0755, err);

	if (!r)
		r = read_all(&m);
	if (!r)
		r = spec->way == BL_COMPARE_A ? make_files(&m)
					      : make_bundle(&m);
	bl_buf_free(&m.program);
	bl_buf_free(&m.content);
	if (r)
		return bl_err_wrap(err, r, "version %s", spec->version);
	bl_text_copy(v.version, sizeof(v.version), spec->version);
	*ret = v;
	v = (struct bl_variant){ 0 };
	return 0;
}
